"""Decoders of segmentation-models-pytorch: shapes, heads, and that BiT's final norm and ReLU reach them."""

from typing import Any

import pytest
import torch

from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.fpn import Fpn
from swcl_cli.models.unet import Unet

Network = type[Unet] | type[Fpn]
both = pytest.mark.parametrize("network", [Unet, Fpn])


@both
@pytest.mark.parametrize("architecture", ["resnet18", "resnetv2_50x1_bit"])
def test_logits_have_the_size_of_the_image(network: Network, architecture: str) -> None:
    model = network(create_encoder(architecture), {"disc": 2, "cup": 3}).eval()
    with torch.inference_mode():
        logits = model(torch.randn(1, 3, 61, 96))
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        "disc": (1, 2, 61, 96),
        "cup": (1, 3, 61, 96),
    }


@both
def test_the_decoder_sees_the_normed_features(network: Network) -> None:
    encoder: Any = create_encoder("resnetv2_50x1_bit")
    model = network(encoder, {"vessel": 2}).eval()
    seen: list[torch.Tensor] = []
    model.decoder.register_forward_hook(lambda _, inputs, __: seen.extend(inputs[0]))
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        model(images)
        expected = encoder.forward_features(images)
    torch.testing.assert_close(seen[-1], expected)
    assert seen[-1].min() >= 0


@both
def test_every_parameter_trains(network: Network) -> None:
    model = network(create_encoder("resnet18"), {"vessel": 2}).train()
    model(torch.randn(2, 3, 64, 64))["vessel"].square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_padding_of_the_pyramid_does_not_reach_far() -> None:
    """What lies beyond the image continues its edge: far from it logits are those of the image alone."""
    torch.manual_seed(0)
    model = Fpn(create_encoder("resnet18"), {"vessel": 2}).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        whole, cut = model(image)["vessel"], model(image[..., :61, :])["vessel"]
    assert cut.shape[-2:] == (61, 64) and whole[..., :16, :].std() > 0
    torch.testing.assert_close(cut[..., :4, :], whole[..., :4, :], atol=0.1, rtol=0.1)
