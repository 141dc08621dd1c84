"""Gradient caching against the whole batch at once."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from swcl_cli.data.colour import MEAN, STD
from swcl_cli.losses.contrastive import supervised_contrastive
from swcl_cli.methods.embedding import Embedding
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.heads import Projector
from tests.gradients import gradient, whole_gradient

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 0, 3, 3])


def views(count: int = len(LABELS), side: int = 32) -> Tensor:
    drawn = torch.randint(0, 256, (count, side, side, 3), generator=torch.Generator().manual_seed(0))
    return drawn.to(torch.uint8)


def small_encoder(norm: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.GroupNorm(2, 8) if norm == "group" else nn.BatchNorm2d(8)
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, 4), layer, nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(8, 6, 3), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )  # fmt: skip


def embedding(norm: str = "group", chunk: int = 0, encoder: nn.Module | None = None, channels: int = 6) -> Embedding:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Embedding(encoder or small_encoder(norm), Projector(channels, 5), MEAN, STD, chunk)


def gradient_of(loss: Tensor, module: nn.Module) -> Tensor:
    loss.backward()
    return whole_gradient(module)


def relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


def test_embeddings_are_normalised_projections_of_normalised_views() -> None:
    module, shown = embedding().eval(), views(4)
    images = (shown.permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    expected = normalize(module.projector(module.encoder(images)), dim=1)
    assert torch.allclose(module(shown), expected, atol=1e-6)
    assert not any("mean" in key or "std" in key for key in module.state_dict())


@pytest.mark.parametrize("chunk", [1, 2, 4, 8])
def test_chunks_give_the_gradient_of_the_whole_batch(chunk: int) -> None:
    whole, parts = embedding().eval(), embedding(chunk=chunk).eval()  # without dropout
    losses = [supervised_contrastive(module(views()), LABELS) for module in (whole, parts)]
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=1e-6)
    assert relative(gradient_of(losses[1], parts), gradient_of(losses[0], whole)) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(("count", "dtype", "bound"), [(8, torch.float32, 1e-5), (9, torch.float64, 1e-12)])
def test_of_the_papers_encoder(count: int, dtype: torch.dtype, bound: float) -> None:
    """BiT-50: relative L2 difference of the whole gradient (FACTS 5).

    In fp32 chunks of one size only: for a last chunk of one view oneDNN takes another kernel, and this network's
    conditioning makes 1e-2 of the difference in rounding.
    """
    encoder = create_encoder("resnetv2_50x1_bit")
    gradients = []
    for chunk in (0, 4):
        module = embedding(encoder=copy.deepcopy(encoder), chunk=chunk, channels=2048).to(dtype)
        loss = supervised_contrastive(module(views(count, side=64)), LABELS[:count])
        gradients.append(gradient_of(loss, module))
    assert relative(gradients[1], gradients[0]) < bound


def test_dropout_draws_the_same_when_a_chunk_is_encoded_again() -> None:
    """Else the gradient would be of another network than the one that gave the loss: checked by differences."""
    module = embedding(chunk=3).double()
    module.mean, module.std = module.mean.double(), module.std.double()
    weight = module.projector.get_parameter("0.weight")

    def loss() -> Tensor:
        torch.manual_seed(5)
        embeddings: Tensor = module(views())
        return embeddings.double().square().mul(torch.arange(5)).sum()

    loss().backward()
    slope, step = gradient(weight)[0, 0].item(), 1e-3
    with torch.no_grad():
        weight[0, 0] += step
        above = loss().item()
        weight[0, 0] -= 2 * step
        below = loss().item()
    assert slope == pytest.approx((above - below) / (2 * step), rel=2e-2, abs=1e-5)


def test_running_statistics_see_each_chunk_once() -> None:
    module = embedding("batch", chunk=3)
    expected = copy.deepcopy(module)
    for part in views().split(3):
        expected(part)
    supervised_contrastive(module(views()), LABELS).backward()
    states = [one.encoder.state_dict() for one in (module, expected)]
    assert states[0].keys() == states[1].keys() and int(states[0]["1.num_batches_tracked"]) == 3
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert module.encoder.get_submodule("1").momentum == 0.1


def test_memory_is_that_of_a_chunk() -> None:
    """The bytes that autograd keeps between the passes."""

    def kept(chunk: int) -> int:
        held: list[int] = []

        def note(tensor: Tensor) -> Tensor:
            held.append(tensor.numel() * tensor.element_size() if tensor.is_floating_point() else 0)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            embedding(chunk=chunk)(views(64))
        return sum(held)

    assert kept(chunk=4) < 0.05 * kept(chunk=0)
