"""Segment by a feature pyramid network on a timm encoder, with segmentation-models-pytorch's decoder."""

from __future__ import annotations

from collections.abc import Mapping

from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from swcl_cli.models.feature_maps import stage_maps, stages_of

WIDTH = 128
STRIDE = 32  # the decoder adds maps of halved sizes, so that sides must be multiples of it


class Fpn(nn.Module):
    """Segment images: (N, 3, H, W) -> {name: logits (N, classes, H, W)}.

    Each head is a 1x1 classifier at stride 4, upsampled bilinearly. encoder: from `create_encoder` or `load_encoder` at
    output stride 32; features come as in `Unet`.
    """

    def __init__(self, encoder: nn.Module, classes: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = FPNDecoder([stage.channels for stage in stages_of(encoder)], segmentation_channels=WIDTH)
        self.heads = nn.ModuleDict({name: nn.Conv2d(WIDTH, count, 1) for name, count in classes.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        height, width = images.shape[-2:]
        padded = pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        decoded = self.decoder(stage_maps(self.encoder, padded))  # (N, 128, H/4, W/4)
        return {
            name: interpolate(head(decoded), scale_factor=4, mode="bilinear", align_corners=False)[..., :height, :width]
            for name, head in self.heads.items()
        }
