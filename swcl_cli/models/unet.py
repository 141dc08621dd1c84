"""Segment by a U-Net on a timm encoder, with segmentation-models-pytorch's decoder, instead of DeepLabv3+."""

from __future__ import annotations

from collections.abc import Mapping

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

WIDTHS = (256, 128, 64, 32, 16)


class Unet(nn.Module):
    """Segment images: (N, 3, H, W) -> {name: logits (N, classes, H, W)}, a 3x3 classifier per head on one decoder.

    encoder: from `create_encoder` or `load_encoder` at output stride 32. Its features reach the decoder through
    `forward_intermediates(norm=True)`: the library's own encoders drop BiT's final norm (FACTS E6).
    """

    def __init__(self, encoder: nn.Module, classes: Mapping[str, int]) -> None:
        super().__init__()
        stages: list[dict[str, int]] = list(encoder.feature_info)  # type: ignore[arg-type]
        self.encoder = encoder
        self.decoder = UnetDecoder([3, *(stage["num_chs"] for stage in stages)], WIDTHS, n_blocks=len(stages))
        self.heads = nn.ModuleDict(
            {name: nn.Conv2d(WIDTHS[-1], count, 3, padding=1) for name, count in classes.items()}
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        stages = self.encoder.forward_intermediates(images, norm=True, intermediates_only=True)  # type: ignore[operator]
        decoded = self.decoder([images, *stages])  # (N, 16, H, W)
        return {name: head(decoded) for name, head in self.heads.items()}
