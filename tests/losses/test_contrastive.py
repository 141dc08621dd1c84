"""Against SupCon's eq. 2 (arXiv 2004.11362) as plain loops."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from swcl_cli.losses import contrastive
from swcl_cli.losses.contrastive import supervised_contrastive
from tests.gradients import gradient


def by_loops(z: Tensor, labels: Tensor, temperature: float) -> float:
    total = 0.0
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        denominator = sum(math.exp(float(z[i] @ z[k]) / temperature) for k in others)
        positives = [j for j in others if labels[j] == labels[i]]
        for j in positives:
            total -= math.log(math.exp(float(z[i] @ z[j]) / temperature) / denominator) / len(positives)
    return total / len(z)


def rows(count: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(count, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_equals_the_loops(temperature: float) -> None:
    z, labels = rows(24), torch.randint(0, 6, (24,), generator=torch.Generator().manual_seed(1))
    assert supervised_contrastive(z, labels, temperature).item() == pytest.approx(by_loops(z, labels, temperature))


def test_value_worked_out_by_hand() -> None:
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    loss = supervised_contrastive(z, torch.tensor([0, 0, 1]), temperature=1.0)
    # anchors 0 and 1: -log(e / (e + 1)); anchor 2 has no positive: 0
    assert loss.item() == pytest.approx(2 * math.log(1 + math.exp(-1)) / 3)


def test_an_anchor_without_positive_is_counted_with_zero() -> None:
    z = rows(5)
    assert supervised_contrastive(z, torch.tensor([0, 0, 1, 2, 3])).item() == pytest.approx(
        by_loops(z, torch.tensor([0, 0, 1, 2, 3]), 0.1)
    )
    assert supervised_contrastive(z, torch.arange(5)).item() == 0


@pytest.mark.parametrize(
    ("z", "labels"),
    [
        pytest.param(rows(6), torch.arange(6), id="no positive"),
        pytest.param(rows(6), torch.zeros(6, dtype=torch.int64), id="one class"),
        pytest.param(rows(1), torch.zeros(1, dtype=torch.int64), id="one image"),
        pytest.param(rows(1).repeat(6, 1), torch.tensor([0, 0, 0, 1, 1, 2]), id="duplicates"),
        pytest.param(torch.zeros(4, 8), torch.tensor([0, 0, 1, 1]), id="zeros"),
    ],
)
def test_gradient_is_finite_at_the_edges(z: Tensor, labels: Tensor) -> None:
    z = z.float().requires_grad_()
    loss = supervised_contrastive(z, labels, temperature=0.01)
    loss.backward()
    assert loss.isfinite() and z.grad is not None and z.grad.isfinite().all()


def test_gradient_is_that_of_finite_differences() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda z: supervised_contrastive(z, labels), rows(6).requires_grad_())


def test_gradient_keeps_its_digits_where_labels_are_large() -> None:
    """Two labels of 496 rows that lie close together: what attracts them and what repels them nearly cancel."""
    draw = torch.Generator().manual_seed(0)
    near = normalize(torch.randn(992, 128, generator=draw) + torch.randn(128, generator=draw))
    coarse, exact = near.requires_grad_(), near.detach().double().requires_grad_()
    for z in (coarse, exact):
        supervised_contrastive(z, torch.arange(992) % 2).backward()
    assert (gradient(coarse) - gradient(exact)).norm() < 1.5e-6 * gradient(exact).norm()


def test_a_multiple_of_the_loss_has_that_multiple_of_the_gradient() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 0])
    once, thrice = (rows(6).requires_grad_() for _ in range(2))
    supervised_contrastive(once, labels).backward()
    (3 * supervised_contrastive(thrice, labels)).backward()
    assert gradient(once).abs().max() > 0.1
    torch.testing.assert_close(gradient(thrice), 3 * gradient(once))


def test_parts_of_the_anchors_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Value and gradient; blocks of anchors change neither."""
    labels = torch.randint(0, 9, (37,), generator=torch.Generator().manual_seed(1))
    whole, parts, blocks = (rows(37).requires_grad_() for _ in range(3))
    loss = supervised_contrastive(whole, labels)
    loss.backward()
    spans = ((0, 11), (11, 12), (12, 37))
    part_losses = torch.stack([supervised_contrastive(parts, labels, anchors=span) for span in spans])
    part_losses.sum().backward()
    monkeypatch.setattr(contrastive, "CELLS", 5 * 37)
    loss_by_blocks = supervised_contrastive(blocks, labels)
    loss_by_blocks.backward()
    assert part_losses.sum().item() == pytest.approx(loss.item()) == loss_by_blocks.item()
    expected = gradient(whole)
    assert torch.allclose(gradient(parts), expected) and torch.allclose(gradient(blocks), expected)
    assert part_losses[0].item() < 0.9 * loss.item()


def test_stays_in_fp32_under_bf16_autocast() -> None:
    z, labels = rows(32).float(), torch.arange(32) // 4
    with torch.autocast("cpu", torch.bfloat16):
        cast = supervised_contrastive(z, labels)
    assert cast.dtype == torch.float32
    assert cast.item() == supervised_contrastive(z, labels).item()
    assert supervised_contrastive(z.bfloat16(), labels).dtype == torch.float32
