"""Segment by DeepLabv3+ on a timm encoder (arXiv 1802.02611; paper IV-B; FACTS E6)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.segmentation.deeplabv3 import ASPP

from swcl_cli.models.feature_maps import no_maps, normalised, told_stages

RATES = {8: (12, 24, 36), 16: (6, 12, 18)}  # by the encoder's output stride
WIDTH = 256
LOW_LEVEL_WIDTH = 48
LOW_LEVEL_STRIDE = 4


class DeepLabV3Plus(nn.Module):
    """Segment images: (N, 3, H, W) -> {name: logits (N, classes, H, W)}, a 1x1 classifier per head on one decoder.

    encoder: from `create_encoder` or `load_encoder` with output_stride 8 or 16. Low-level features are stage 1's; a
    pre-activation network's last features pass its final norm. Trains with a batch of one.
    """

    def __init__(self, encoder: nn.Module, classes: Mapping[str, int]) -> None:
        super().__init__()
        stages = told_stages(encoder)
        strides = [stage.stride for stage in stages]
        if LOW_LEVEL_STRIDE not in strides or strides[-1] not in RATES:
            raise no_maps(encoder, f"DeepLabv3+ needs strides of 4 and of 8 or 16, not {', '.join(map(str, strides))}")
        self.encoder = encoder
        self.shallow = len(strides) - 1 - strides[::-1].index(LOW_LEVEL_STRIDE)  # stage 1 of a ResNet
        self.deep = len(strides) - 1
        self.context = ASPP(stages[-1].channels, RATES[strides[-1]], WIDTH)
        self.context.convs[-1] = _Pooling(stages[-1].channels, WIDTH)
        self.context.project[-1] = nn.Dropout(0.1)
        self.low_level = _convolution(stages[self.shallow].channels, LOW_LEVEL_WIDTH, 1)
        self.decoder = _convolution(WIDTH + LOW_LEVEL_WIDTH, WIDTH, 3)
        self.heads = nn.ModuleDict({name: nn.Conv2d(WIDTH, count, 1) for name, count in classes.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        shallow, deep = self.features(images)
        shallow = self.low_level(shallow)  # (N, 48, H/4, W/4)
        context = interpolate(self.context(deep), shallow.shape[-2:], mode="bilinear", align_corners=False)
        decoded = self.decoder(torch.cat([context, shallow], dim=1))  # (N, 256, H/4, W/4)
        return {
            name: interpolate(head(decoded), images.shape[-2:], mode="bilinear", align_corners=False)
            for name, head in self.heads.items()
        }

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of stride 4 and of the last stage. norm=True keeps BiT's final GroupNorm and ReLU."""
        shallow, deep = self.encoder.forward_intermediates(  # type: ignore[operator]
            images, indices=[self.shallow, self.deep], norm=True, intermediates_only=True
        )
        return shallow, normalised(self.encoder, deep)


class _Pooling(nn.Sequential):
    """Pool the whole image, as ASPP's branch with torchvision's keys, but without BatchNorm in training on one image.

    A single 1 x 1 feature has no batch statistics.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
        super().__init__(nn.AdaptiveAvgPool2d(1), convolution, nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        pool, convolution, norm, activation = self
        pooled = convolution(pool(x))
        if not (norm.training and len(x) == 1):
            pooled = norm(pooled)
        return interpolate(activation(pooled), x.shape[-2:], mode="bilinear", align_corners=False)


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
