"""Encoders and the labeler: timm's networks under timm's own keys."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from swcl_cli import chance
from swcl_cli.catalogue.encoders import LABELERS
from swcl_cli.errors import SwclError
from swcl_cli.workspace import read_provenance


@dataclass(frozen=True)
class Architecture:
    channels: int  # of the last features
    low_level_channels: int  # of stage 1, at stride 4
    batch_norm: bool  # else GroupNorm, which alone is exact across processes (FACTS 5)


ARCHITECTURES = {
    "resnet18": Architecture(channels=512, low_level_channels=64, batch_norm=True),
    "resnet34": Architecture(channels=512, low_level_channels=64, batch_norm=True),
    "resnet50": Architecture(channels=2048, low_level_channels=256, batch_norm=True),
    "resnetv2_50x1_bit": Architecture(channels=2048, low_level_channels=256, batch_norm=False),
}
MOST_LISTED = 8  # keys in a message


@contextmanager
def keyed_weights(seed: int, purpose: str) -> Iterator[None]:
    """Modules made inside draw their initial weights by (seed, purpose); torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(chance.torch_seed(seed, purpose))
        yield


def create_encoder(architecture: str, seed: int = 0, output_stride: int = 32) -> nn.Module:
    """A timm network without classifier, (N, 3, H, W) -> (N, channels); `forward_features` gives (N, channels, h, w).

    output_stride: 8, 16 or 32; the last stages are dilated instead, the keys stay the same.
    Raises SwclError for an architecture that is not in ARCHITECTURES.
    """
    _permit(architecture, tuple(ARCHITECTURES))
    with keyed_weights(seed, "encoder weights"):
        return timm.create_model(architecture, pretrained=False, num_classes=0, output_stride=output_stride)


def create_labeler(architecture: str, seed: int = 0, classes: int = 2) -> nn.Module:
    """A ResNet classifier whose last stage keeps its input's size: 448 px in -> 28 x 28 map (paper III-A).

    No dilation makes up for the stride. Raises SwclError for an architecture that is not in LABELERS.
    """
    _permit(architecture, LABELERS)
    with keyed_weights(seed, "labeler weights"):
        labeler = timm.create_model(architecture, pretrained=False, num_classes=classes)
    first: Any = labeler.get_submodule("layer4.0")
    first.conv1.stride = first.downsample[0].stride = (1, 1)
    return labeler


def load_encoder(path: Path, output_stride: int = 32) -> nn.Module:
    """The encoder that one of our files holds; its architecture comes from the file.

    Raises SwclError where the file is not ours, holds no encoder, or a key is missing or not expected.
    """
    description = read_provenance(path).get("encoder")
    if description is None:
        raise SwclError(f"{path} holds no encoder. Encoders are made by: swcl pretrain")
    encoder = create_encoder(description["architecture"], output_stride=output_stride)
    load_weights(encoder, load_file(path), str(path))
    return encoder


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copies `tensors` into `model`. Raises SwclError that lists missing, unexpected and misshapen keys."""
    wanted = model.state_dict()
    faults = {
        "missing": wanted.keys() - tensors.keys(),
        "not expected": tensors.keys() - wanted.keys(),
        "of another shape": {key for key in wanted.keys() & tensors.keys() if wanted[key].shape != tensors[key].shape},
    }
    found = [f"{fault}: {listed(sorted(keys))}" for fault, keys in faults.items() if keys]
    if found:
        name = getattr(model, "pretrained_cfg", {}).get("architecture", type(model).__name__)
        raise SwclError(f"{source} does not fit the {name}. Keys {'; '.join(found)}.")
    model.load_state_dict(dict(tensors))


def listed(keys: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = f" and {len(keys) - MOST_LISTED} more" if len(keys) > MOST_LISTED else ""
    return ", ".join(keys[:MOST_LISTED]) + more


def encoder_state(model: nn.Module) -> dict[str, Tensor]:
    """The weights and buffers under timm's keys, contiguous, on the CPU, fp32 (counters stay integers)."""
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}


def _permit(architecture: str, permitted: tuple[str, ...]) -> None:
    if architecture not in permitted:
        raise SwclError(f"architecture '{architecture}' is not known here; choose one of {', '.join(permitted)}")
