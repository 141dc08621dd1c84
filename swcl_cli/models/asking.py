"""Ask a network what it gives and takes: its channels, and the sizes of images."""

from typing import Any

import torch
from torch import Tensor, nn

from swcl_cli.catalogue.encoders import ENCODERS
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.feature_maps import last_map

SMALL = 4  # patches a side, to ask a network with
STRIDE = 32
MAP = 4  # dimensions of a map: (N, C, h, w)


def channels_of(encoder: nn.Module) -> int:
    """Return the number of channels that a timm network without classifier returns.

    Some, as MobileNetV3, have a layer more between the last map and the classifier.
    """
    return int(getattr(encoder, "head_hidden_size", None) or encoder.num_features)  # type: ignore[arg-type]


def map_channels(encoder: nn.Module, architecture: str) -> int:
    """Return the channels of the last map, by one image. Raises SwclError where the network gives no map."""
    problem = ""
    for size in (SMALL * _patch(encoder), _own_size(encoder)):  # some take images of their own size alone
        try:
            maps = _tried(encoder, size, last_map)
        except Exception as error:
            problem = _first_line(error)
            continue
        if maps.ndim == MAP:
            return int(maps.shape[1])
        problem = f"its features have {maps.ndim} dimensions"
    raise SwclError(
        f"{architecture} gives no map of features, which activation maps need ({problem}). Take another "
        "--architecture, such as resnet34, convnext_atto or vit_tiny_patch16_224."
    )


def require_size(encoder: nn.Module, architecture: str, size: int, what: str) -> None:
    """Raise UsageError, with the nearest sizes, where a network can't take square images of `size` px.

    what: which images, for the message. The network is asked, by one image.
    """
    if architecture in ENCODERS:
        return
    try:
        _tried(encoder, size, lambda network, images: network(images))
    except Exception as error:
        patch = _patch(encoder)
        near = (size // patch * patch, -(-size // patch) * patch)
        fits = hasattr(encoder, "dynamic_img_size") and size % patch
        fitting = " or ".join(str(side) for side in near if side) if fits else f"{_own_size(encoder)}"
        raise UsageError(
            f"{architecture} can't take {what} of {size} px ({_first_line(error)}): take {fitting} px, or another "
            "--architecture."
        ) from error


def _patch(encoder: nn.Module) -> int:
    """Return the side in pixels of a transformer's patches; of other networks the stride of most of their last maps."""
    sides = getattr(getattr(encoder, "patch_embed", None), "patch_size", None) or (STRIDE,)
    return int(sides[0])


def _own_size(encoder: nn.Module) -> int:
    """Return the side of the images that timm trained the network for, or that its positions are for."""
    embedding = getattr(encoder, "patch_embed", None)
    made_for = getattr(embedding, "img_size", None) or encoder.pretrained_cfg["input_size"][1:]  # type: ignore[index]
    return int(made_for[0])


@torch.no_grad()
def _tried(encoder: nn.Module, size: int, act: Any) -> Tensor:
    """Run the network on one black image, in evaluation mode; its mode stays."""
    trained = encoder.training
    try:
        result: Tensor = act(encoder.eval(), torch.zeros(1, 3, size, size))
    finally:
        encoder.train(trained)
    return result


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
