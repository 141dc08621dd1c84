"""Ask timm's networks for maps of features, (N, C, h, w), whatever they compute inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from timm.layers.norm import LayerNorm2d
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from swcl_cli.errors import UsageError

TOKENS = 3  # dimensions of what a plain transformer returns: (N, tokens, C)
STRIDES = (2, 4, 8, 16, 32)  # of the maps under U-Net and feature pyramid; no encoder needs to have the first


@dataclass(frozen=True)
class Stage:
    """Describe a map of an encoder under a decoder: its channels, and image pixels a place."""

    channels: int
    stride: int


def stages_of(encoder: nn.Module) -> list[Stage]:
    """Return the maps of strides 2 to 32 that `stage_maps` gives; without its own, that of stride 2 has no channels.

    A plain transformer has tokens of one stride: those of four of its blocks become the maps. Raises UsageError where
    a network tells no such maps.
    """
    told = told_stages(encoder)
    if is_plain(encoder):
        return [Stage(0, STRIDES[0]), *(Stage(told[-1].channels, stride) for stride in STRIDES[1:])]
    strides = tuple(stage.stride for stage in told)
    if strides == STRIDES[1:]:
        return [Stage(0, STRIDES[0]), *told]
    if strides != STRIDES:
        raise no_maps(encoder, f"its stages have strides of {', '.join(map(str, strides)) or 'no number'}")
    return told


def is_plain(encoder: nn.Module) -> bool:
    """Check whether the encoder is a plain transformer, of which all blocks have tokens of one stride."""
    return len({stage.stride for stage in told_stages(encoder)}) == 1


def stage_maps(encoder: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the maps of strides 2 to 32 of images (N, 3, H, W), sides multiples of 32, with their final norms.

    Tokens of a plain transformer are of the image continued to whole patches by its edge; the maps are cut to it.
    """
    network: Any = encoder
    if is_plain(encoder):
        return [_nothing(images), *_pyramid(network, images)]
    maps: list[Tensor] = network.forward_intermediates(images, norm=True, intermediates_only=True)
    if len(maps) == len(STRIDES):
        return maps
    return [_nothing(images), *maps[:-1], normalised(encoder, maps[-1])]


def _pyramid(network: Any, images: Tensor) -> list[Tensor]:
    """Resize tokens of the blocks at each quarter of the depth to maps of strides 4, 8, 16 and 32."""
    patch = int(network.patch_embed.patch_size[0])
    height, width = images.shape[-2:]
    whole = pad(images, (0, -width % patch, 0, -height % patch), mode="replicate")
    depth = len(network.feature_info)
    quarters = [max(depth * quarter // 4 - 1, 0) for quarter in (1, 2, 3, 4)]
    blocks = network.forward_intermediates(whole, indices=sorted(set(quarters)), norm=True, intermediates_only=True)
    tokens = dict(zip(sorted(set(quarters)), blocks, strict=True))
    maps = []
    for block, stride in zip(quarters, STRIDES[1:], strict=True):
        features = normalised(network, tokens[block])
        scaled = interpolate(features, scale_factor=patch / stride, mode="bilinear", align_corners=False)
        maps.append(scaled[..., : height // stride, : width // stride])
    return maps


def _nothing(images: Tensor) -> Tensor:
    """Return a map of stride 2 without channels, as decoders take it from an encoder that has none."""
    count, _, height, width = images.shape
    return images.new_zeros(count, 0, height // STRIDES[0], width // STRIDES[0])


def told_stages(encoder: nn.Module) -> list[Stage]:
    """Return the stages that timm tells of a network. Raises UsageError where it tells none."""
    told: Any = getattr(encoder, "feature_info", None)
    if not told or not hasattr(encoder, "forward_intermediates"):
        raise no_maps(encoder, "timm tells nothing of its stages")
    return [Stage(int(stage["num_chs"]), int(stage["reduction"])) for stage in told]


def no_maps(encoder: nn.Module, reason: str) -> UsageError:
    """Return the error of a network that a decoder can't stand on."""
    name = getattr(encoder, "pretrained_cfg", {}).get("architecture", type(encoder).__name__)
    return UsageError(
        f"{name} gives no maps to segment by ({reason}): take another --architecture, such as resnet34, convnext_atto "
        "or vit_tiny_patch16_224."
    )


def last_map(encoder: nn.Module, images: Tensor) -> Tensor:
    """Return the last features of images (N, 3, H, W) as a map (N, C, h, w), the final norm applied at each place.

    Tokens are laid out as a map, without class and register tokens; of Swin (N, h, w, C) is turned. A norm that timm
    applies after pooling is applied before it.
    """
    network: Any = encoder
    features: Tensor = network.forward_features(images)
    if features.ndim == TOKENS:
        (features,) = network.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)
    elif getattr(network, "output_fmt", "NCHW") == "NHWC":
        features = features.permute(0, 3, 1, 2)
    return normalised(encoder, features)


def normalised(encoder: nn.Module, features: Tensor) -> Tensor:
    """Apply the norm that timm keeps behind the pooling, if there is one, at each place of a map (N, C, h, w)."""
    norm = getattr(encoder, "fc_norm", None) or getattr(getattr(encoder, "head", None), "norm", None)
    if norm is None or isinstance(norm, nn.Identity):
        return features
    if isinstance(norm, nn.LayerNorm) and not isinstance(norm, LayerNorm2d):
        turned: Tensor = norm(features.permute(0, 2, 3, 1))
        return turned.permute(0, 3, 1, 2)
    mapped: Tensor = norm(features)
    return mapped
