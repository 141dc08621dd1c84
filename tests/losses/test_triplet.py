"""Against the mining rules of FACTS B1 as plain loops."""

import math

import pytest
import torch
from torch import Tensor

from swcl_cli.losses import triplet as module
from swcl_cli.losses.triplet import Mining, triplet


def squared_distance(a: Tensor, b: Tensor) -> float:
    return float((a / a.norm() - b / b.norm()).square().sum())


def cost(gap: float, margin: float, soft: bool) -> float:
    return math.log1p(math.exp(gap + margin)) if soft else max(gap + margin, 0.0)


def semi_hard_by_loops(z: Tensor, labels: Tensor, margin: float, soft: bool) -> float:
    costs = []
    for a in range(len(z)):
        negatives = [squared_distance(z[a], z[n]) for n in range(len(z)) if labels[n] != labels[a]]
        for p in range(len(z)):
            if p != a and labels[p] == labels[a]:
                positive = squared_distance(z[a], z[p])
                farther = [negative for negative in negatives if negative > positive]
                costs.append(cost(positive - (min(farther) if farther else max(negatives)), margin, soft))
    return sum(costs) / len(costs)


def batch_hard_by_loops(z: Tensor, labels: Tensor, margin: float, soft: bool) -> float:
    costs = []
    for a in range(len(z)):
        positives = [squared_distance(z[a], z[p]) for p in range(len(z)) if p != a and labels[p] == labels[a]]
        negatives = [squared_distance(z[a], z[n]) for n in range(len(z)) if labels[n] != labels[a]]
        if positives:
            costs.append(cost(max(positives) - min(negatives), margin, soft))
    return sum(costs) / len(costs)


BY_LOOPS = {"semi-hard": semi_hard_by_loops, "batch-hard": batch_hard_by_loops}
MININGS: list[Mining] = ["semi-hard", "batch-hard"]


def rows(count: int, width: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("anchors", [5, 256])
def test_equals_the_loops(mining: Mining, soft: bool, seed: int, anchors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANCHORS", anchors)
    z, labels = rows(28, seed=seed), torch.randint(0, 9, (28,), generator=torch.Generator().manual_seed(seed))
    expected = BY_LOOPS[mining](z, labels, 0.5, soft)
    assert triplet(z, labels, mining, 0.5, soft).item() == pytest.approx(expected)


def test_both_branches_of_semi_hard_mining_by_hand() -> None:
    def at(degrees: float) -> list[float]:
        return [3 * math.cos(math.radians(degrees)), 3 * math.sin(math.radians(degrees))]

    # on the unit circle the squared distance is 2 - 2 cos(angle)
    z = torch.tensor([at(0), at(90), at(60), at(120)])
    loss = triplet(z, torch.tensor([0, 0, 1, 2]), "semi-hard", margin=0.5)
    # anchor at 0: positive 2; negatives 1 and 3, of which 3 is farther: 2 - 3 + 0.5 < 0
    # anchor at 90: positive 2; both negatives 2 - sqrt 3, none farther: the farthest
    assert loss.item() == pytest.approx((0 + math.sqrt(3) + 0.5) / 2)


def test_a_negative_as_far_as_the_positive_is_not_semi_hard() -> None:
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [-1.0, 0.0]])
    # anchor 0: positive 2; negatives 2 and 4, of which only 4 is farther; anchor 1: the same, mirrored
    assert triplet(z, torch.tensor([0, 0, 1, 2]), "semi-hard", margin=0.5).item() == 0


def test_batch_hard_by_hand() -> None:
    z = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    loss = triplet(z, torch.tensor([0, 0, 1]), "batch-hard", margin=0.5)
    # anchor 0: 2 - 4 + 0.5 < 0; anchor 1: 2 - 2 + 0.5; anchor 2 has no positive
    assert loss.item() == pytest.approx(0.25)


def test_by_default_as_the_paper_describes_it() -> None:
    """Semi-hard, the hinge, and the margin of FACTS B1."""
    z, labels = rows(28), torch.randint(0, 9, (28,), generator=torch.Generator().manual_seed(0))
    assert triplet(z, labels).item() == pytest.approx(semi_hard_by_loops(z, labels, 0.5, soft=False))


def test_a_row_of_zeros_is_the_centre_of_the_sphere() -> None:
    z = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    loss = triplet(z, torch.tensor([0, 0, 1]), "batch-hard", margin=0.5)
    # anchor 0: 1 - 1 + 0.5; anchor 1: 1 - 4 + 0.5 < 0; anchor 2 has no positive
    assert loss.item() == pytest.approx(0.25)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize(
    ("z", "labels"),
    [
        pytest.param(rows(6), torch.arange(6), id="no positive"),
        pytest.param(rows(6), torch.zeros(6, dtype=torch.int64), id="one class"),
        pytest.param(rows(1), torch.zeros(1, dtype=torch.int64), id="one image"),
    ],
)
def test_is_zero_without_a_triplet(mining: Mining, soft: bool, z: Tensor, labels: Tensor) -> None:
    z = z.float().requires_grad_()
    loss = triplet(z, labels, mining, soft=soft)
    loss.backward()
    assert loss.item() == 0
    assert z.grad is not None and (z.grad == 0).all()


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize(
    "z",
    [
        pytest.param(torch.ones(6, 3), id="all equal"),
        pytest.param(rows(3).repeat(2, 1), id="duplicates"),
        pytest.param(torch.cat([rows(5), torch.zeros(1, 3)]), id="a row of zeros"),
        pytest.param(torch.zeros(6, 3), id="zeros"),
        pytest.param(1e-30 * rows(6), id="tiny"),
        pytest.param(1e15 * rows(6), id="huge"),
    ],
)
def test_gradient_is_finite_and_bounded_at_the_edges(mining: Mining, soft: bool, z: Tensor) -> None:
    z = z.float().requires_grad_()
    loss = triplet(z, torch.tensor([0, 0, 0, 1, 1, 2]), mining, soft=soft)
    loss.backward()
    assert loss.isfinite() and z.grad is not None
    assert z.grad.isfinite().all() and z.grad.abs().max() < 100


@pytest.mark.parametrize("mining", MININGS)
def test_gradient_is_that_of_finite_differences(mining: Mining) -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda z: triplet(z, labels, mining), rows(6).requires_grad_())


@pytest.mark.parametrize("mining", MININGS)
def test_gradient_is_that_of_finite_differences_in_parts(mining: Mining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANCHORS", 2)
    labels = torch.tensor([0, 0, 1, 1, 2, 0, 1])
    assert torch.autograd.gradcheck(lambda z: triplet(z, labels, mining), rows(7).requires_grad_())


def test_needs_no_cubic_tensor() -> None:
    labels = torch.arange(1500) // 4  # a cubic tensor would take 13 GB
    assert triplet(torch.randn(1500, 8, generator=torch.Generator().manual_seed(0)), labels).isfinite()


def test_stays_in_fp32_under_bf16_autocast() -> None:
    z, labels = rows(24).float(), torch.arange(24) // 4
    with torch.autocast("cpu", torch.bfloat16):
        cast = triplet(z, labels)
    assert cast.dtype == torch.float32 and cast.item() == triplet(z, labels).item()
    halves = z.bfloat16()
    assert triplet(halves, labels).item() == triplet(halves.float(), labels).item()
