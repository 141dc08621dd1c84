"""Build the networks of segmentation: an encoder, and the decoder that the settings name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from swcl_cli.models.deeplab import DeepLabV3Plus
from swcl_cli.models.fpn import Fpn
from swcl_cli.models.unet import Unet

DEEPLAB = "deeplabv3plus"
# To add one: a row here, and the name in `settings/finetune.py`.
DECODERS: dict[str, type[DeepLabV3Plus | Unet | Fpn]] = {DEEPLAB: DeepLabV3Plus, "smp-unet": Unet, "smp-fpn": Fpn}


def stride_for(decoder: str, output_stride: int) -> int:
    """Return the output stride that the encoder must have for a decoder; of DeepLabv3+ it is `output_stride`."""
    return output_stride if decoder == DEEPLAB else 32


def segmenter(decoder: str, encoder: nn.Module, heads: Mapping[str, int]) -> nn.Module:
    """Put a decoder on an encoder: (N, 3, H, W) -> {head: logits (N, classes, H, W)}."""
    return DECODERS[decoder](encoder, heads)
