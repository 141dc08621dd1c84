"""Translate the weight names of other layouts to timm's keys (FACTS 4)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import timm
import torch
from torch import Tensor

from swcl_cli.catalogue.encoders import ENCODERS
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import PREFIX
from swcl_cli.models.initialisation.checkpoints import MARK

HEADS = ("fc.", "head.fc.", "head.conv.", "resnet/head/", "projection_network.", "out.classification.")
DEEPEST_PART = 3  # parts of a key that may stand before an encoder's own
COUNTER = "num_batches_tracked"  # of BatchNorm: no weight, and absent from older files

# BiT under the names of its first release (TensorFlow, .npz) and of its PyTorch port, which the authors' release has.
OUTSIDE_UNITS = {
    "resnet/root_block/standardized_conv2d/kernel": "stem.conv.weight",
    "resnet/group_norm/gamma": "norm.weight",
    "resnet/group_norm/beta": "norm.bias",
    "root.conv.weight": "stem.conv.weight",
    "head.gn.weight": "norm.weight",
    "head.gn.bias": "norm.bias",
}
UNIT = re.compile(r"(?:resnet/|body\.)block(\d+)[/.]unit(\d+)[/.](.+)")  # both count from 1
INSIDE_UNITS = {
    "a/proj/standardized_conv2d/kernel": "downsample.conv.weight",
    "downsample.weight": "downsample.conv.weight",
    **{f"{letter}/standardized_conv2d/kernel": f"conv{number}.weight" for number, letter in enumerate("abc", 1)},
    **{f"{letter}/group_norm/gamma": f"norm{number}.weight" for number, letter in enumerate("abc", 1)},
    **{f"{letter}/group_norm/beta": f"norm{number}.bias" for number, letter in enumerate("abc", 1)},
    **{f"gn{number}.{kind}": f"norm{number}.{kind}" for number in (1, 2, 3) for kind in ("weight", "bias")},
}


@dataclass(frozen=True)
class Layout:
    """Hold the weights of a foreign file: those of the encoder, and the keys of heads."""

    encoder: dict[str, Tensor]  # under timm's keys
    heads: list[str]  # keys, as the file has them
    released: bool  # by the authors of the paper


def sort_out(tensors: Mapping[str, Tensor], source: str) -> Layout:
    """Separate the encoder from heads. Unknown keys stay with the encoder, which then does not fit its network.

    Raises SwclError where two tensors would be the same weight, as in a file of an encoder and its teacher.
    """
    heads = [key for key in tensors if key.removeprefix(PREFIX).startswith(HEADS)]
    encoder: dict[str, Tensor] = {}
    for key in (key for key in tensors if key not in heads):
        name = timm_key(key.removeprefix(PREFIX))
        if name in encoder:
            raise SwclError(f"{source} holds two encoders: both {name} and {PREFIX}{name}. Save one of them alone.")
        encoder[name] = tensors[key]
    return Layout(counted(encoder), heads, released=any(key.startswith(PREFIX) for key in tensors))


def timm_key(name: str) -> str:
    """Return timm's name for a weight of BiT; other names are returned as they are."""
    if unit := UNIT.fullmatch(name):
        stage, block, inside = int(unit[1]) - 1, int(unit[2]) - 1, unit[3]
        return f"stages.{stage}.blocks.{block}.{INSIDE_UNITS.get(inside, inside)}"
    return OUTSIDE_UNITS.get(name, name)


def architecture_of(encoder: Mapping[str, Tensor], wanted: str | None, source: str) -> str:
    """Find the architecture that has these keys and shapes; where none has them, take `wanted`, or else the nearest.

    Raises SwclError where no tensor is a weight of an encoder of the catalogue.
    """
    shapes = {key: tensor.shape for key, tensor in encoder.items()}
    common = {name: len(shapes.items() & _shapes(name).items()) for name in ENCODERS}
    if not any(common.values()):
        parts = _parts_that_fit(shapes)
        named = f"{source}{'.' if MARK in source else MARK}{parts[0]}" if parts else ""
        raise SwclError(
            f"{source} holds no encoder that is known here ({', '.join(ENCODERS)}): none of its {len(shapes)} "
            f"tensors fits. Its keys begin with {', '.join(list(shapes)[:3])}."
            + (f" Below {', '.join(parts)} some do: --init {named}" if parts else "")
        )
    nearest = max(ENCODERS, key=lambda name: 2 * common[name] - len(_shapes(name)))  # present minus missing
    return nearest if wanted is None or shapes == _shapes(nearest) else wanted


def _parts_that_fit(shapes: Mapping[str, torch.Size]) -> list[str]:
    """Return the prefixes of keys below which most tensors are weights of one encoder of the catalogue."""
    below: dict[str, dict[str, torch.Size]] = defaultdict(dict)
    for key, shape in shapes.items():
        parts = key.split(".")
        for depth in range(1, min(len(parts), DEEPEST_PART + 1)):
            below[".".join(parts[:depth])][timm_key(".".join(parts[depth:]))] = shape
    common = {part: max(len(held.items() & _shapes(name).items()) for name in ENCODERS) for part, held in below.items()}
    most = max(common.values(), default=0)
    return [part for part, count in common.items() if count == most > 0]


@cache
def _shapes(architecture: str) -> dict[str, torch.Size]:
    """Return the shape of each weight of an encoder, by timm's keys."""
    with torch.device("meta"):
        network = timm.create_model(architecture, num_classes=0)
    return {key: tensor.shape for key, tensor in network.state_dict().items()}


def counted(encoder: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add the counters of BatchNorm at 0 where the file has none."""
    counters = (key.replace("running_mean", COUNTER) for key in encoder if key.endswith(".running_mean"))
    return {counter: torch.tensor(0) for counter in counters} | encoder
