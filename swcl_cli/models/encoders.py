"""Create, load and save encoders and labelers: timm's networks under timm's own keys."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import timm
import torch
from pydantic import AfterValidator
from timm.layers.norm_act import FrozenBatchNormAct2d
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from swcl_cli import chance
from swcl_cli.catalogue.encoders import ENCODERS, WIDE_MAPS
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.asking import map_channels
from swcl_cli.models.feature_maps import TOKENS, last_map
from swcl_cli.workspace import not_finite, part_of, read_provenance, read_safetensors

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
FROZEN_NORMS = (FrozenBatchNorm2d, FrozenBatchNormAct2d)
MOST_LISTED = 8  # keys in a message
PREFIX = "encoder."  # of the authors' release, and of what stands on an encoder of ours
POSITIONS = "pos_embed"  # timm's key of a transformer's positions, one a token
NOT_TAKEN = "unexpected keyword argument"  # how Python says that a network has no such option


@contextmanager
def keyed_weights(seed: int, purpose: str) -> Iterator[None]:
    """Draw the initial weights of modules made inside by (seed, purpose); torch's own generator is restored."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(chance.torch_seed(seed, purpose))
        yield


def require_network(architecture: str) -> None:
    """Raise UsageError, with the nearest names, where timm has no network of this name."""
    if _is_network(architecture):
        return
    close = get_close_matches(architecture, timm.list_models(), n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise UsageError(f"--architecture {architecture}: timm {timm.__version__} has no network of this name.{hint}")


def _is_network(name: str) -> bool:
    return name in ENCODERS or ("." not in name and timm.is_model(name))


def _known(name: str) -> str:
    if not _is_network(name):
        raise ValueError(f"timm {timm.__version__} has no network of this name")
    return name


Network = Annotated[str, AfterValidator(_known)]  # what our files tell of their architecture


def create_encoder(
    architecture: str,
    seed: int = 0,
    output_stride: int = 32,
    weights: Mapping[str, Tensor] | None = None,
    classes: int = 0,
) -> nn.Module:
    """Create a timm network: (N, 3, H, W) -> (N, channels); with timm's own classifier, where there are `classes`.

    output_stride: 8, 16 or 32; below 32 the last stages are dilated, and the keys stay the same. weights: those that
    are to be loaded, of which the number of a transformer's positions is taken; it resizes them to each image.
    Raises UsageError where timm has no such network, or it can't be dilated.
    """
    require_network(architecture)
    if architecture in ENCODERS:
        with keyed_weights(seed, "encoder weights"):
            return timm.create_model(architecture, pretrained=False, num_classes=classes, output_stride=output_stride)
    encoder = _of_any_size(architecture, seed, output_stride, classes=classes)
    own, given = getattr(encoder, POSITIONS, None), (weights or {}).get(POSITIONS)
    if own is not None and given is not None and own.ndim == given.ndim == TOKENS and own.shape != given.shape:
        encoder = _of_any_size(architecture, seed, output_stride, _image_size(encoder, own, given), classes)
    return encoder


def _of_any_size(
    architecture: str, seed: int, output_stride: int, image_size: int | None = None, classes: int = 0
) -> nn.Module:
    """Create a network that takes images of other sizes than its own, where it can.

    timm's transformers do so when they are told; other networks do not know the option, and most don't need it.
    """
    dilated: dict[str, Any] = {} if output_stride == 32 else {"output_stride": output_stride}
    given: dict[str, Any] = {"img_size": image_size, **dilated}
    for options in ({"dynamic_img_size": True, **given}, given):
        try:
            with keyed_weights(seed, "encoder weights"):
                return timm.create_model(architecture, pretrained=False, num_classes=classes, **options)
        except (TypeError, AssertionError) as error:
            if not isinstance(error, AssertionError) and NOT_TAKEN not in str(error):
                raise
    if dilated:
        raise UsageError(
            f"{architecture} can't be dilated to an output stride of {output_stride}, which DeepLabv3+ needs: take "
            "--decoder smp-unet or smp-fpn."
        )
    raise UsageError(f"timm can't make {architecture} for images of {image_size} px.")


def _image_size(encoder: nn.Module, own: Tensor, given: Tensor) -> int:
    """Return the side in pixels of the square images that have the `given` positions (1, tokens, channels)."""
    embedding: Any = encoder.get_submodule("patch_embed")
    others = own.shape[1] - embedding.num_patches  # of class and register tokens
    return math.isqrt(max(given.shape[1] - others, 1)) * int(embedding.patch_size[0])


def create_labeler(
    architecture: str,
    seed: int = 0,
    classes: int = 2,
    last_norm: Literal["zero", "one"] = "zero",
    weights: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """Create a classifier that is linear in the mean of a map: `forward_features` gives the map, `fc` the classifier.

    Of ResNet-18 and ResNet-34 the last stage keeps its input's size: 448 px in -> 28 x 28 map (paper III-A); no
    dilation makes up for the stride. last_norm: initial weights of the last norm of each of their blocks (FACTS C11).
    Any other network gives the map of its last stage. weights: as of `create_encoder`. Raises UsageError where timm has
    no such network.
    """
    require_network(architecture)
    if architecture not in WIDE_MAPS:
        encoder = create_encoder(architecture, seed, weights=_below(weights, PREFIX))
        with keyed_weights(seed, "labeler weights"):
            return MapClassifier(encoder, map_channels(encoder, architecture), classes)
    with keyed_weights(seed, "labeler weights"):
        labeler = timm.create_model(
            architecture, pretrained=False, num_classes=classes, zero_init_last=last_norm == "zero"
        )
    first: Any = labeler.get_submodule("layer4.0")
    first.conv1.stride = first.downsample[0].stride = (1, 1)
    return labeler


def _below(weights: Mapping[str, Tensor] | None, prefix: str) -> dict[str, Tensor] | None:
    return None if weights is None else {key.removeprefix(prefix): tensor for key, tensor in weights.items()}


class MapClassifier(nn.Module):
    """Classify images by the mean of an encoder's last map: `fc` is linear in it, as class activation maps need."""

    def __init__(self, encoder: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.encoder, self.fc = encoder, nn.Linear(channels, classes)
        self.pretrained_cfg: Any = encoder.pretrained_cfg  # by which messages name the network

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the last map (N, C, h, w) of images (N, 3, H, W)."""
        return last_map(self.encoder, images)

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Return the mean of a map, (N, C); unless `pre_logits`, its logits (N, classes)."""
        pooled = features.mean(dim=(2, 3))
        return pooled if pre_logits else self.fc(pooled)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """List the layers that take statistics of a batch. Without them a network is exact across processes (FACTS 5)."""
    return [part for part in module.modules() if isinstance(part, BATCH_NORMS)]


def in_its_memory_format(module: nn.Module, encoder: nn.Module) -> None:
    """Lay the weights out in the memory format in which the encoder is fastest: channels last where it has BatchNorm.

    A network is used in the format it was trained in, since the kernels of the other format round differently.
    """
    if any(isinstance(part, (*BATCH_NORMS, *FROZEN_NORMS)) for part in encoder.modules()):
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
    architecture = part_of(path, made, ("encoder", "architecture"), Network)
    weights = read_safetensors(path)
    encoder = create_encoder(architecture, output_stride=output_stride, weights=weights)
    load_weights(encoder, weights, str(path))
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
    """Return the weights and buffers under timm's keys: contiguous, on the CPU, fp32 (counters stay integers).

    Frozen BatchNorm gets the counters that it lacks.
    """
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in model.state_dict().items()}
    frozen = [name for name, part in model.named_modules() if isinstance(part, FROZEN_NORMS)]
    state |= {f"{name}.num_batches_tracked": torch.tensor(0) for name in frozen}
    return {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in state.items()}
