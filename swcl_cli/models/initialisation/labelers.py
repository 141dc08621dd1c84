"""Read a labeler's file, ours or the authors'."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from swcl_cli.catalogue.encoders import WIDE_MAPS
from swcl_cli.data import colour
from swcl_cli.data.colour import Colour
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.encoders import Network, create_labeler, load_weights
from swcl_cli.models.initialisation import layouts
from swcl_cli.models.initialisation.checkpoints import MARK
from swcl_cli.models.initialisation.weight_files import our_provenance, read_tensors
from swcl_cli.workspace import part_of

RELEASED_IMAGE_SIZE = 448  # px (paper III-A)
RELEASED_CLASSIFIER = "out.classification.0."  # -> fc.


@dataclass(frozen=True)
class Labeler:
    """Hold a normal/abnormal classifier, with its colour constants, input size and data sets.

    labelled: NAME, or NAME:LABEL, of which the classes in `normal` are normal; None where the file does not say.
    """

    network: nn.Module
    architecture: str
    image_size: int  # px, of the shorter side of its photographs
    mean: Colour
    std: Colour
    labelled: list[str] | None  # data sets that it was trained on
    unlabelled: list[str] | None
    normal: list[str]


@dataclass(frozen=True)
class Described:
    """Say what a labeler's file tells of it."""

    architecture: Network
    image_size: int
    mean: Colour
    std: Colour


def read_labeler(path: Path, key: str | None = None) -> Labeler:
    """Read labeler.safetensors, or the authors' pytorch_model.bin (FACTS 4), with constants in the released order.

    key: which of several networks in others' file. Raises SwclError where the file holds no labeler, or a labeler of
    another architecture or with other classes.
    """
    provenance = our_provenance(path)
    if provenance and key is not None:
        raise UsageError(f"{path} holds one labeler of swcl's own: name it without {MARK}{key}.")
    tensors = read_tensors(path, key)
    if provenance is None:
        return _released(path, tensors)
    if "labeler" not in provenance:
        raise SwclError(f"{path} holds no labeler. Labelers are made by: swcl train-labeler")
    described: Described = part_of(path, provenance, ("labeler",), Described)
    data_sets = {name: part_of(path, provenance, ("settings", name), list[str]) for name in ("labelled", "unlabelled")}
    normal = (
        part_of(path, provenance, ("settings", "normal"), list[str]) if provenance["settings"].get("normal") else []
    )
    network = _network(path, tensors, described.architecture)
    return Labeler(
        network, described.architecture, described.image_size, described.mean, described.std, **data_sets, normal=normal
    )


def _released(path: Path, tensors: dict[str, Tensor]) -> Labeler:
    layout = layouts.sort_out(tensors, str(path))
    architecture = layouts.architecture_of(layout.encoder, None, str(path))
    if architecture not in WIDE_MAPS:
        raise SwclError(f"{path} holds a {architecture}; a labeler of the authors is one of {', '.join(WIDE_MAPS)}.")
    classifier = {
        f"fc.{key.removeprefix(RELEASED_CLASSIFIER)}": tensors[key]
        for key in layout.heads
        if key.startswith(RELEASED_CLASSIFIER)
    }
    network = _network(path, layout.encoder | classifier, architecture)
    return Labeler(network, architecture, RELEASED_IMAGE_SIZE, *colour.constants("released"), None, None, [])


def _network(path: Path, tensors: dict[str, Tensor], architecture: str) -> nn.Module:
    if "fc.weight" not in tensors:
        raise SwclError(f"{path} holds no labeler's classifier. Labelers are made by: swcl train-labeler")
    if (classes := len(tensors["fc.weight"])) != 2:
        raise SwclError(f"{path} tells {classes} classes apart; a labeler has two, normal and abnormal.")
    network = create_labeler(architecture, weights=tensors)
    load_weights(network, tensors, str(path))
    return network
