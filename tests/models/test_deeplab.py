"""DeepLabv3+: shapes, the parts that FACTS E6 names, a batch of one."""

from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from swcl_cli.models.deeplab import DeepLabV3Plus
from swcl_cli.models.encoders import create_encoder, encoder_state, load_weights


def network(architecture: str = "resnet18", stride: int = 16, **classes: int) -> DeepLabV3Plus:
    torch.manual_seed(0)
    return DeepLabV3Plus(create_encoder(architecture, output_stride=stride), classes or {"vessel": 2})


@pytest.mark.parametrize("architecture", ["resnet18", "resnetv2_50x1_bit"])
@pytest.mark.parametrize("stride", [8, 16])
def test_logits_have_the_size_of_the_image(architecture: str, stride: int) -> None:
    model = network(architecture, stride, disc=2, cup=3).eval()
    with torch.inference_mode():
        logits = model(torch.randn(2, 3, 64, 96))
        assert {name: tuple(values.shape) for name, values in logits.items()} == {
            "disc": (2, 2, 64, 96),
            "cup": (2, 3, 64, 96),
        }
        assert model(torch.randn(1, 3, 61, 75))["disc"].shape == (1, 2, 61, 75)
        assert model.features(torch.randn(1, 3, 64, 64))[1].shape[-1] == 64 // stride


@pytest.mark.parametrize(("stride", "rates"), [(8, (12, 24, 36)), (16, (6, 12, 18))])
def test_the_head_is_the_one_of_the_paper(stride: int, rates: tuple[int, ...]) -> None:
    model: Any = network(stride=stride)
    assert tuple(branch[0].dilation[0] for branch in list(model.context.convs)[1:4]) == rates
    assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == [0.1]
    assert tuple(model.low_level[0].weight.shape) == (48, 64, 1, 1)
    assert tuple(model.decoder[0].weight.shape) == (256, 304, 3, 3)
    assert model.context.state_dict().keys() == ASPP(512, rates).state_dict().keys()


def test_context_equals_torchvisions() -> None:
    ours, theirs = network().context.eval(), ASPP(512, (6, 12, 18)).eval()
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(2, 512, 6, 6)
    torch.testing.assert_close(ours(features), theirs(features))


def test_a_batch_of_one_trains() -> None:
    model = network().train()
    logits = model(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))["vessel"]
    nn.functional.cross_entropy(logits, torch.ones(1, 64, 64, dtype=torch.int64)).backward()
    pooling_norm = set(model.context.convs[-1][2].parameters())
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == {name for name, parameter in model.named_parameters() if parameter in pooling_norm}
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_larger_batch_trains_every_parameter() -> None:
    model = network().train()
    model(torch.randn(2, 3, 64, 64))["vessel"].sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.context.convs[-1][2].num_batches_tracked == 1


def test_evaluation_does_not_depend_on_the_batch() -> None:
    model = network().train()
    model(torch.randn(4, 3, 64, 64))
    model.eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(model(images)["vessel"][:1], model(images[:1])["vessel"], atol=1e-4, rtol=1e-4)


def test_bit_features_pass_the_final_norm() -> None:
    encoder: Any = create_encoder("resnetv2_50x1_bit", output_stride=16).eval()
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        deep = DeepLabV3Plus(encoder, {"vessel": 2}).eval().features(images)[1]
        torch.testing.assert_close(deep, encoder.forward_features(images))
    assert deep.min() >= 0


@pytest.mark.parametrize("architecture", ["resnet18", "resnetv2_50x1_bit"])
def test_encoder_weights_load_at_any_output_stride(architecture: str) -> None:
    weights = encoder_state(create_encoder(architecture, seed=7))
    model = network(architecture, 8)
    load_weights(model.encoder, weights, "memory")
    assert all(torch.equal(tensor, weights[key]) for key, tensor in encoder_state(model.encoder).items())
