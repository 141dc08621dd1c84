"""Segment by a U-Net on a timm encoder, with segmentation-models-pytorch's decoder, instead of DeepLabv3+."""

from __future__ import annotations

from collections.abc import Mapping

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn
from torch.nn.functional import pad

from swcl_cli.models.feature_maps import stage_maps, stages_of

WIDTHS = (256, 128, 64, 32, 16)
STRIDE = 32  # maps are of halved sizes


class Unet(nn.Module):
    """Segment images: (N, 3, H, W) -> {name: logits (N, classes, H, W)}, a 3x3 classifier per head on one decoder.

    encoder: from `create_encoder` or `load_encoder` at output stride 32. Its features reach the decoder through
    `stage_maps`: the library's own encoders drop final norms (FACTS E6), and take no patches of 14 px.
    """

    def __init__(self, encoder: nn.Module, classes: Mapping[str, int]) -> None:
        super().__init__()
        stages = stages_of(encoder)
        self.encoder = encoder
        self.any_size = stages[0].channels > 0  # with a map of stride 2 the decoder follows the sizes of the maps
        self.decoder = UnetDecoder([3, *(stage.channels for stage in stages)], WIDTHS, n_blocks=len(stages))
        self.heads = nn.ModuleDict(
            {name: nn.Conv2d(WIDTHS[-1], count, 3, padding=1) for name, count in classes.items()}
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        height, width = images.shape[-2:]
        if not self.any_size:
            images = pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        decoded = self.decoder([images, *stage_maps(self.encoder, images)])  # (N, 16, H, W)
        return {name: head(decoded)[..., :height, :width] for name, head in self.heads.items()}
