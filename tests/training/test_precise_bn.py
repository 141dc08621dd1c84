"""BatchNorm's statistics in a validation: the mean of the batches, of trained layers alone, and only for its time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from swcl_cli.models.deeplab import DeepLabV3Plus
from swcl_cli.models.encoders import create_encoder
from swcl_cli.training.precise_bn import precise_statistics, trained_norms

SHAPE = (6, 3, 4, 5)


class Loss(nn.Module):
    """Two BatchNorms with dropout between them; a forward pass gives what a training objective gives."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.dropout, self.second = nn.BatchNorm2d(3), nn.Dropout(0.5), nn.BatchNorm2d(3, momentum=0.3)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return self.second(self.dropout(self.first(batch["image"]))).sum(), {}


def images(count: int) -> Iterator[dict[str, Tensor]]:
    for number in range(count):
        yield {"image": torch.randn(SHAPE, generator=torch.Generator().manual_seed(number)) * (1 + number) + number}


def trained() -> Loss:
    module = Loss().train()
    for batch in images(2):
        module(batch)
    return module


def buffers(module: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def test_statistics_are_the_mean_over_the_batches_without_dropout() -> None:
    module = trained()
    with precise_statistics(module, images(4)):
        batches = [batch["image"].double() for batch in images(4)]
        mean = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
        variance = torch.stack([batch.var(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
        torch.testing.assert_close(module.first.running_mean, mean.float())
        torch.testing.assert_close(module.first.running_var, variance.float())
        count = SHAPE[0] * SHAPE[2] * SHAPE[3]
        torch.testing.assert_close(module.second.running_mean, torch.zeros(3), atol=1e-5, rtol=0)
        torch.testing.assert_close(module.second.running_var, torch.full((3,), count / (count - 1)), rtol=1e-3, atol=0)


def test_training_has_its_own_statistics_again() -> None:
    module = trained()
    before = buffers(module)
    generator = torch.get_rng_state()
    with precise_statistics(module, images(4)):
        assert not torch.equal(module.first.running_mean, before["first.running_mean"])  # type: ignore[arg-type]
        assert not module.dropout.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in buffers(module).items())
    assert (module.first.momentum, module.second.momentum) == (0.1, 0.3)
    assert torch.equal(torch.get_rng_state(), generator) and all(p.grad is None for p in module.parameters())


def test_it_has_them_again_after_an_error() -> None:
    module = trained()
    before = buffers(module)
    with pytest.raises(KeyError), precise_statistics(module, images(1)):
        raise KeyError
    assert all(torch.equal(buffer, before[name]) for name, buffer in buffers(module).items())


def test_a_frozen_layer_keeps_its_statistics() -> None:
    module = trained()
    module.first.requires_grad_(False)
    before = buffers(module)
    assert trained_norms(module) == [module.second]
    with precise_statistics(module, images(3)):
        inside = buffers(module)
    assert torch.equal(inside["first.running_mean"], before["first.running_mean"])
    assert torch.equal(inside["first.running_var"], before["first.running_var"])
    assert not torch.equal(inside["second.running_var"], before["second.running_var"])


def test_the_pooling_branch_has_no_statistics_of_a_batch_of_one() -> None:
    network = DeepLabV3Plus(create_encoder("resnet18", output_stride=16), {"vessel": 2})
    pooled = network.context.convs[-1][2]
    with precise_statistics(network, [torch.randn(1, 3, 64, 64)]):
        assert int(pooled.num_batches_tracked) == 0
    with precise_statistics(network, [torch.randn(2, 3, 64, 64), torch.randn(1, 3, 64, 64)]):
        assert int(pooled.num_batches_tracked) == 1


def test_a_norm_that_no_image_passes_keeps_its_statistics() -> None:
    """As EfficientNet's last one under a U-Net: whoever takes the encoder on needs it."""
    network = nn.ModuleDict({"used": nn.BatchNorm2d(3), "unused": nn.BatchNorm2d(3)})
    network["unused"].running_mean.fill_(5.0)  # type: ignore[operator]
    network.forward = lambda images: network["used"](images)
    with precise_statistics(network, [torch.ones(2, 3, 4, 4)]):
        assert torch.equal(network["used"].running_mean, torch.ones(3))  # type: ignore[arg-type]
        assert torch.equal(network["unused"].running_mean, torch.full((3,), 5.0))  # type: ignore[arg-type]
