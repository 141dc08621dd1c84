"""U-Net: shapes, heads, and that BiT's final norm and ReLU reach the decoder."""

import pytest
import torch

from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.unet import Unet


@pytest.mark.parametrize("architecture", ["resnet18", "resnetv2_50x1_bit"])
def test_logits_have_the_size_of_the_image(architecture: str) -> None:
    model = Unet(create_encoder(architecture), {"disc": 2, "cup": 3}).eval()
    with torch.inference_mode():
        logits = model(torch.randn(1, 3, 61, 96))
    assert {name: tuple(values.shape) for name, values in logits.items()} == {
        "disc": (1, 2, 61, 96),
        "cup": (1, 3, 61, 96),
    }


def test_the_decoder_sees_the_normed_features() -> None:
    model = Unet(create_encoder("resnetv2_50x1_bit"), {"vessel": 2}).eval()
    seen: list[torch.Tensor] = []
    model.decoder.register_forward_hook(lambda _, inputs, __: seen.extend(inputs[0]))
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        model(images)
        expected = model.encoder.forward_features(images)
    torch.testing.assert_close(seen[-1], expected)
    assert seen[-1].min() >= 0


def test_every_parameter_trains() -> None:
    model = Unet(create_encoder("resnet18"), {"vessel": 2}).train()
    model(torch.randn(2, 3, 64, 64))["vessel"].square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
