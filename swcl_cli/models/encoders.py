"""Create, load and save encoders and labelers: timm's networks under timm's own keys."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from swcl_cli import chance
from swcl_cli.catalogue.encoders import ENCODERS, LABELERS
from swcl_cli.errors import SwclError
from swcl_cli.workspace import not_finite, part_of, read_provenance, read_safetensors

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
MOST_LISTED = 8  # keys in a message


@contextmanager
def keyed_weights(seed: int, purpose: str) -> Iterator[None]:
    """Draw the initial weights of modules made inside by (seed, purpose); torch's own generator is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(chance.torch_seed(seed, purpose))
        yield


def create_encoder(architecture: str, seed: int = 0, output_stride: int = 32) -> nn.Module:
    """Create a timm network without classifier: (N, 3, H, W) -> (N, channels).

    `forward_features` gives (N, channels, h, w). output_stride: 8, 16 or 32; below 32 the last stages are dilated, and
    the keys stay the same.
    Raises SwclError for an architecture that the catalogue does not list.
    """
    _permit(architecture, ENCODERS)
    with keyed_weights(seed, "encoder weights"):
        return timm.create_model(architecture, pretrained=False, num_classes=0, output_stride=output_stride)


def create_labeler(
    architecture: str, seed: int = 0, classes: int = 2, last_norm: Literal["zero", "one"] = "zero"
) -> nn.Module:
    """Create a ResNet classifier whose last stage keeps its input's size: 448 px in -> 28 x 28 map (paper III-A).

    No dilation makes up for the stride. last_norm: initial weights of the last norm of each block (FACTS C11).
    Raises SwclError for an architecture that can't be a labeler.
    """
    _permit(architecture, LABELERS)
    with keyed_weights(seed, "labeler weights"):
        labeler = timm.create_model(
            architecture, pretrained=False, num_classes=classes, zero_init_last=last_norm == "zero"
        )
    first: Any = labeler.get_submodule("layer4.0")
    first.conv1.stride = first.downsample[0].stride = (1, 1)
    return labeler


def channels_of(encoder: nn.Module) -> int:
    """Return the number of channels of the last features of a timm network."""
    return int(encoder.num_features)  # type: ignore[arg-type]


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """List the layers that take statistics of a batch. Without them a network is exact across processes (FACTS 5)."""
    return [part for part in module.modules() if isinstance(part, BATCH_NORMS)]


def in_its_memory_format(module: nn.Module, encoder: nn.Module) -> None:
    """Lay the weights out in the memory format in which the encoder is fastest: channels last where it has BatchNorm.

    A network is used in the format it was trained in, since the kernels of the other format round differently.
    """
    if batch_norms(encoder):
        module.to(memory_format=torch.channels_last)


def load_encoder(path: str | Path, output_stride: int = 32) -> nn.Module:
    """Load the encoder that `swcl pretrain` has written, in evaluation mode; its architecture comes from the file.

    It is one of timm's networks: (N, 3, H, W) -> (N, channels), of images that are normalised with the colours that the
    file's metadata names. output_stride: as in `create_encoder`. Raises SwclError where the file is not ours, holds no
    encoder, or a key is missing or not expected.

    >>> import swcl_cli, torch
    >>> encoder = swcl_cli.load_encoder("swcl.safetensors")
    >>> encoder(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 512])
    """
    path = Path(path)
    made = read_provenance(path)
    if made.get("encoder") is None:
        raise SwclError(f"{path} holds no encoder. Encoders are made by: swcl pretrain")
    architecture = part_of(path, made, ("encoder", "architecture"), Literal[ENCODERS])
    encoder = create_encoder(architecture, output_stride=output_stride)
    load_weights(encoder, read_safetensors(path), str(path))
    return encoder.eval()


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy `tensors` into `model`.

    Raises SwclError that lists missing, unexpected and misshapen keys, or names one whose values are no numbers.
    """
    state = model.state_dict()
    faulty = {
        "missing": state.keys() - tensors.keys(),
        "not expected": tensors.keys() - state.keys(),
        "of another shape": {key for key in state.keys() & tensors.keys() if state[key].shape != tensors[key].shape},
    }
    faults = [f"{fault}: {listed(sorted(keys))}" for fault, keys in faulty.items() if keys]
    if faults:
        name = getattr(model, "pretrained_cfg", {}).get("architecture", type(model).__name__)
        raise SwclError(f"{source} does not fit the {name}. Keys {'; '.join(faults)}.")
    if key := not_finite({key: tensors[key] for key in state}):
        raise SwclError(f"{source}: its {key} holds NaN or an infinite number. Take other weights.")
    model.load_state_dict(dict(tensors))


def listed(keys: Sequence[str]) -> str:
    """Write the first keys in words, and how many more there are."""
    more = f" and {len(keys) - MOST_LISTED} more" if len(keys) > MOST_LISTED else ""
    return ", ".join(keys[:MOST_LISTED]) + more


def encoder_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights and buffers under timm's keys: contiguous, on the CPU, fp32 (counters stay integers)."""
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}


def _permit(architecture: str, permitted: tuple[str, ...]) -> None:
    if architecture not in permitted:
        raise SwclError(f"architecture '{architecture}' is not known here; choose one of {', '.join(permitted)}")
