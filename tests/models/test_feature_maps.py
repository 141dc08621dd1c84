"""Maps of features: layout, final norms and strides, asked of networks of each family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.asking import channels_of, require_size
from swcl_cli.models.deeplab import DeepLabV3Plus
from swcl_cli.models.encoders import MapClassifier, create_encoder, create_labeler
from swcl_cli.models.feature_maps import STRIDES, last_map, stage_maps, stages_of
from swcl_cli.models.fpn import Fpn
from swcl_cli.models.unet import Unet

VIT, SWIN, CONVNEXT, LITE = (
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "convnext_atto",
    "tf_efficientnet_lite0",
)
IMAGES = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_tokens_lie_as_their_patches_do() -> None:
    encoder: Any = create_encoder(VIT).eval()
    tokens = encoder.forward_features(IMAGES)[:, 1:]  # after the class token, row by row
    assert torch.equal(last_map(encoder, IMAGES), tokens.reshape(2, 4, 6, -1).permute(0, 3, 1, 2))
    last, earlier = stage_maps(encoder, IMAGES)[4], stage_maps(encoder, IMAGES)[3]
    halved = torch.nn.functional.avg_pool2d(last_map(encoder, IMAGES), 2)
    torch.testing.assert_close(last, halved)
    assert not torch.allclose(earlier, last_map(encoder, IMAGES))  # of a block at three quarters of the depth


@torch.inference_mode()
def test_swins_map_is_turned() -> None:
    encoder: Any = create_encoder(SWIN).eval()
    assert torch.equal(last_map(encoder, IMAGES), encoder.forward_features(IMAGES).permute(0, 3, 1, 2))
    torch.testing.assert_close(last_map(encoder, IMAGES).mean(dim=(2, 3)), encoder(IMAGES))


@torch.inference_mode()
@pytest.mark.parametrize("architecture", [CONVNEXT, "vit_medium_patch16_gap_240"])
def test_a_norm_behind_the_pooling_is_applied_to_the_map(architecture: str) -> None:
    encoder: Any = create_encoder(architecture).eval()
    maps = last_map(encoder, IMAGES)
    torch.testing.assert_close(maps.mean(dim=1), torch.zeros_like(maps[:, 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.std(dim=1, correction=0), torch.ones_like(maps[:, 0]), atol=1e-2, rtol=0)
    assert torch.equal(stage_maps(encoder, IMAGES)[4][..., :1, :1], maps[..., :1, :1]) == (architecture == CONVNEXT)


@torch.inference_mode()
@pytest.mark.parametrize("architecture", ["resnet18", VIT, SWIN, CONVNEXT, LITE, "mobilenetv3_small_100"])
def test_stages_are_what_they_say(architecture: str) -> None:
    encoder = create_encoder(architecture).eval()
    shapes = [tuple(part.shape) for part in stage_maps(encoder, IMAGES)]
    assert [stage.stride for stage in stages_of(encoder)] == list(STRIDES)
    assert shapes == [(2, stage.channels, 64 // stage.stride, 96 // stage.stride) for stage in stages_of(encoder)]
    assert encoder(IMAGES).shape == (2, channels_of(encoder))


@torch.inference_mode()
def test_a_place_of_a_map_shows_its_part_of_the_image_with_patches_of_14_px() -> None:
    """Each token is the mean colour of its patch: so is each place of a map of a horizontal ramp."""
    encoder: Any = create_encoder("vit_small_patch14_reg4_dinov2").eval()

    def ramp(images: Tensor, **_: Any) -> list[Tensor]:
        assert images.shape[-2:] == (98, 392)  # 96 x 384, continued to whole patches
        return [torch.nn.functional.avg_pool2d(images, 14) for _ in range(4)]

    encoder.forward_intermediates = ramp
    encoder.norm = encoder.fc_norm = torch.nn.Identity()
    columns = torch.arange(384) + 0.5
    images = columns.expand(1, 3, 96, 384)
    for features, stride in zip(stage_maps(encoder, images)[1:], STRIDES[1:], strict=True):
        assert features.shape[-2:] == (96 // stride, 384 // stride)
        places = (torch.arange(384 // stride) + 0.5) * stride
        inner = slice(14 // stride + 1, -(14 // stride) - 1)
        torch.testing.assert_close(features[0, 0, 0, inner], places[inner], atol=0.6, rtol=0)


@pytest.mark.parametrize("network", [Unet, Fpn])
@pytest.mark.parametrize("architecture", [VIT, "vit_small_patch14_reg4_dinov2", SWIN, CONVNEXT])
def test_logits_of_any_size_train_the_encoder(network: type[Unet | Fpn], architecture: str) -> None:
    model = network(create_encoder(architecture), {"vessel": 2}).train()
    logits = model(IMAGES[..., :61, :75])["vessel"]
    assert logits.shape == (2, 2, 61, 75)
    logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("architecture", [LITE, CONVNEXT])
@pytest.mark.parametrize("stride", [8, 16])
def test_deeplab_stands_on_what_can_be_dilated(architecture: str, stride: int) -> None:
    model = DeepLabV3Plus(create_encoder(architecture, output_stride=stride), {"vessel": 2}).eval()
    with torch.inference_mode():
        shallow, deep = model.features(IMAGES)
        assert (shallow.shape[-1], deep.shape[-1]) == (24, 96 // stride)
        assert model(IMAGES)["vessel"].shape == (2, 2, 64, 96)


def test_what_can_not_be_done_is_told() -> None:
    for architecture in (VIT, SWIN):
        with pytest.raises(UsageError, match=f"{architecture} can't be dilated .* --decoder smp-unet or smp-fpn"):
            create_encoder(architecture, output_stride=8)
    for architecture, size, sizes in ((VIT, 100, "96 or 112"), ("vit_small_patch14_reg4_dinov2", 384, "378 or 392")):
        with pytest.raises(UsageError, match=f"{architecture} can't take views of {size} px .*: take {sizes} px"):
            require_size(create_encoder(architecture), architecture, size, "views")
    with pytest.raises(UsageError, match=r"mixer_s32_224 can't take views of 64 px .*: take 224 px"):
        require_size(create_encoder("mixer_s32_224"), "mixer_s32_224", 64, "views")
    with pytest.raises(UsageError, match=r"Identity gives no maps to segment by \(timm tells nothing of its stages\)"):
        Unet(torch.nn.Identity(), {})


@torch.inference_mode()
@pytest.mark.parametrize("architecture", [VIT, LITE])
def test_a_labelers_logits_are_the_mean_of_its_class_maps(architecture: str) -> None:
    labeler = create_labeler(architecture).eval()
    assert isinstance(labeler, MapClassifier) and {"fc.weight", "fc.bias"} <= labeler.state_dict().keys()
    maps = torch.einsum("nchw,kc->nkhw", labeler.forward_features(IMAGES), labeler.fc.weight)
    torch.testing.assert_close(labeler(IMAGES), maps.mean(dim=(2, 3)) + labeler.fc.bias)
    with pytest.raises(SwclError, match="crossvit_tiny_240 gives no map of features"):
        create_labeler("crossvit_tiny_240")
