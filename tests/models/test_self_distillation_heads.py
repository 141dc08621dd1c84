"""Heads of BYOL and DINO against their definitions, and DINO's against lightly's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import gelu, group_norm, normalize

from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.self_distillation_heads import BatchFreeMLP, Bottleneck, Prototypes, StandardisedLinear
from tests.gradients import gradient


def features(count: int = 5, channels: int = 24) -> torch.Tensor:
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(3))


def test_weights_are_standardised_row_by_row() -> None:
    layer = StandardisedLinear(24, 6)
    rows = [(row - row.mean()) / row.std(unbiased=False) for row in layer.weight.detach()]
    torch.testing.assert_close(layer(features()), features() @ torch.stack(rows).T + layer.bias, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        layer.weight.mul_(7).add_(3)  # which changes neither mean-free direction nor deviation-free size
    torch.testing.assert_close(layer(features()), features() @ torch.stack(rows).T + layer.bias, rtol=1e-4, atol=1e-4)


def test_a_row_of_equal_weights_gives_a_finite_gradient() -> None:
    layer = StandardisedLinear(24, 6)
    nn.init.ones_(layer.weight)
    layer(features()).square().sum().backward()
    assert gradient(layer.weight).isfinite().all()
    torch.testing.assert_close(layer(features()), layer.bias.expand(5, 6))


def test_batch_free_mlp() -> None:
    """By its definition; a row does not depend on the others."""
    mlp = BatchFreeMLP(24)
    layers: list[Any] = list(mlp)
    first, norm, _, last = layers
    hidden = group_norm(first(features()), 16, norm.weight, norm.bias).clamp(min=0)
    torch.testing.assert_close(mlp(features()), last(hidden))
    assert (hidden.shape, mlp(features()).shape, last.bias) == ((5, 4096), (5, 256), None)
    torch.testing.assert_close(mlp(features())[:2], mlp(features()[:2]), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in mlp.modules())


def test_batch_free_mlp_with_a_last_bias() -> None:
    """As the released code's: what the last layer adds is its bias, and it is trained."""
    mlp: Any = BatchFreeMLP(24, bias=True)
    hidden = group_norm(mlp[0](features()), 16, mlp[1].weight, mlp[1].bias).clamp(min=0)
    rows = torch.stack([(row - row.mean()) / row.std(unbiased=False) for row in mlp[3].weight.detach()])
    torch.testing.assert_close(mlp(features()), hidden @ rows.T + mlp[3].bias, rtol=1e-4, atol=1e-4)
    mlp(features()).sum().backward()
    assert gradient(mlp[3].bias).tolist() == [5.0] * 256 and mlp[3].bias.any()


def test_released_bottleneck() -> None:
    head: Any = Bottleneck(24, released=True)
    first, second = (layer for layer in head if isinstance(layer, nn.Linear))
    assert (first.weight.shape, second.weight.shape) == ((2048, 24), (256, 2048))
    nn.init.normal_(first.bias, std=0.1)
    expected = (features() @ first.weight.T + first.bias).clamp(min=0) @ second.weight.T + second.bias
    torch.testing.assert_close(head(features()), expected, rtol=1e-4, atol=1e-5)
    assert second.weight.std().item() == pytest.approx(0.02, rel=0.05) and not second.bias.any()


def test_bottleneck() -> None:
    head = Bottleneck(24)
    linear = [layer for layer in head if isinstance(layer, nn.Linear)]
    torch.testing.assert_close(head(features()), head[4](gelu(head[2](gelu(head[0](features()))))))
    assert [layer.weight.shape for layer in linear] == [(2048, 24), (2048, 2048), (256, 2048)]
    assert all(layer.weight.std().item() == pytest.approx(0.02, rel=0.05) for layer in linear)
    assert not any(layer.bias.any() for layer in linear)


def test_prototypes_are_cosines() -> None:
    layer, z = Prototypes(8, 12), normalize(features(channels=8), dim=1)
    for row, outputs in zip(z, layer(z), strict=True):
        for weight, output in zip(layer.weight, outputs, strict=True):
            assert output.item() == pytest.approx(torch.cosine_similarity(row, weight, dim=0).item(), abs=1e-6)
    assert set(layer.state_dict()) == {"weight"} and Prototypes().weight.shape == (4096, 256)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer(z)
    assert torch.equal(rounded, layer(z))
    nn.init.zeros_(layer.weight)
    layer(z).sum().backward()
    assert gradient(layer.weight).isfinite().all()


def test_weights_are_functions_of_the_seed() -> None:
    def heads(seed: int) -> list[torch.Tensor]:
        with keyed_weights(seed, "projector weights"):
            layers: list[Any] = [BatchFreeMLP(8, 32)[0], Bottleneck(8, 16)[0], Prototypes(8, 12)]
        return [layer.weight for layer in layers]

    assert all(torch.equal(one, other) for one, other in zip(heads(0), heads(0), strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(heads(0), heads(1), strict=True))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_dinos_head_is_lightlys() -> None:
    modules = pytest.importorskip("lightly.models.modules")
    theirs = modules.DINOProjectionHead(24, 32, 8, 12, norm_last_layer=True)
    bottleneck, prototypes = Bottleneck(24, 32, 8), Prototypes(8, 12)
    bottleneck.load_state_dict({key.removeprefix("layers."): v for key, v in theirs.layers.state_dict().items()})
    with torch.no_grad():
        prototypes.weight.copy_(theirs.last_layer.weight_v)
    torch.testing.assert_close(prototypes(normalize(bottleneck(features()), dim=1)), theirs(features()))
