"""Losses of the methods with a teacher: as loops, by hand, at their edges, and beside lightly's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from swcl_cli.losses.distillation import mean_entropy, of_other_view, regression, sharpened, soft_cross_entropy
from tests.gradients import gradient


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_regression_by_loops() -> None:
    predictions, targets = 3 * drawn(7, 5), drawn(7, 5, seed=1)
    total = 0.0
    for p, t in zip(predictions.tolist(), targets.tolist(), strict=True):
        lengths = [math.sqrt(sum(x * x for x in row)) for row in (p, t)]
        total += sum((a / lengths[0] - b / lengths[1]) ** 2 for a, b in zip(p, t, strict=True))
    assert regression(predictions, targets).item() == pytest.approx(total / 7, rel=1e-6)


@pytest.mark.parametrize(
    ("prediction", "target", "loss"),
    [((2, 0), (5, 0), 0), ((2, 0), (0, 3), 2), ((1, 0), (-4, 0), 4), ((1, 0), (1, 1), 2 - math.sqrt(2))],
)
def test_regression_by_hand(prediction: tuple[int, int], target: tuple[int, int], loss: float) -> None:
    found = regression(torch.tensor([prediction]).float(), torch.tensor([target]).float())
    assert found.item() == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize("rows", [torch.zeros(3, 4), torch.full((3, 4), 1e-20), torch.full((3, 4), 1e15)])
def test_regression_at_its_edges(rows: Tensor) -> None:
    """A prediction of no length has no direction: loss 2, and a finite gradient."""
    rows = rows.requires_grad_()
    loss = regression(rows, torch.eye(3, 4))
    loss.backward()
    assert loss.isfinite() and gradient(rows).isfinite().all()
    if not rows.detach().any():
        assert loss.item() == 2
    exact = drawn(3, 4).requires_grad_()
    regression(exact, exact.detach()).backward()
    assert gradient(exact).abs().max() < 1e-6


def test_a_prediction_that_is_too_short_counts_as_shorter() -> None:
    """Below a millionth its length is not made 1, so that the slope ends at 2 / 1e-6, and does not grow for ever."""
    prediction = torch.tensor([[1e-7, 0.0]], requires_grad=True)
    loss = regression(prediction, torch.tensor([[3.0, 0.0]]))
    loss.backward()
    assert loss.item() == pytest.approx(2 - 2 * 0.1) and gradient(prediction)[0, 0].item() == pytest.approx(-2e6)


def test_regression_stays_in_fp32() -> None:
    predictions, targets = drawn(16, 8), drawn(16, 8, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        cast = regression(predictions, targets)
    assert cast.dtype == torch.float32 and cast.item() == regression(predictions, targets).item()
    halves = predictions.bfloat16(), targets.bfloat16()
    assert regression(*halves).item() == regression(*(half.float() for half in halves)).item()


@pytest.mark.parametrize("temperatures", [(0.1, 0.04), (0.1, 0.07), (1.0, 1.0)])
def test_soft_cross_entropy_by_loops(temperatures: tuple[float, float]) -> None:
    student, teacher, centre = drawn(6, 5), drawn(6, 5, seed=1), drawn(5, seed=2)
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p = [math.exp((value - middle) / temperatures[1]) for value, middle in zip(t, centre.tolist(), strict=True)]
        q = [math.exp(value / temperatures[0]) for value in s]
        total -= sum(a / sum(p) * math.log(b / sum(q)) for a, b in zip(p, q, strict=True))
    targets = sharpened(teacher, centre, temperatures[1])
    assert soft_cross_entropy(student, targets, temperatures[0]).item() == pytest.approx(total / 6, rel=1e-5)


def test_soft_cross_entropy_by_hand() -> None:
    """Odds of 3 to 1 and of 1 to 1 in the two classes."""
    outputs = torch.tensor([[math.log(3.0), 0.0], [0.5, 0.5]])
    targets = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    assert soft_cross_entropy(outputs, targets, 1.0).item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert soft_cross_entropy(outputs[:1], targets[:1], 0.5).item() == pytest.approx(math.log(10 / 9), rel=1e-6)
    centre = torch.tensor([1.0, 0.5])
    by_hand = torch.tensor([[1 / (1 + math.exp(-0.5 / 0.1)), 1 / (1 + math.exp(0.5 / 0.1))]])
    torch.testing.assert_close(sharpened(torch.tensor([[2.0, 1.0]]), centre, 0.1), by_hand)


def test_soft_cross_entropy_at_its_edges() -> None:
    """One row; a target that has all; outputs so far apart that a probability is 0: the gradient stays finite."""
    outputs = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    targets = sharpened(torch.tensor([[-1.0, 1.0, 0.0]]), torch.zeros(3), 0.001)
    assert targets.tolist() == [[0, 1, 0]]
    loss = soft_cross_entropy(outputs, targets, 0.1)
    loss.backward()
    assert loss.item() == pytest.approx(2e5) and gradient(outputs).isfinite().all()
    alike = torch.zeros(2, 8, requires_grad=True)
    loss = soft_cross_entropy(alike, torch.full((2, 8), 1 / 8), 0.1)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(8)) and not gradient(alike).any()


def test_mean_entropy() -> None:
    one, all_alike, half = [1.0, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]
    for rows, share in (([one], 0), ([all_alike], 1), ([half], 0.5), ([one, all_alike], 0.5)):
        assert mean_entropy(torch.tensor(rows)).item() == pytest.approx(share)


def test_views_change_places_within_an_image() -> None:
    rows = torch.arange(6.0)[:, None].expand(6, 2).contiguous()
    assert of_other_view(rows)[:, 0].tolist() == [1, 0, 3, 2, 5, 4]


def test_regression_is_lightlys() -> None:
    criterion = pytest.importorskip("lightly.loss").NegativeCosineSimilarity()
    predictions, targets = drawn(16, 8).requires_grad_(), drawn(16, 8, seed=1)
    ours, theirs = regression(predictions, targets), 2 + 2 * criterion(predictions, targets)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    slopes = [torch.autograd.grad(loss, predictions)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*slopes)


def test_soft_cross_entropy_and_centre_are_lightlys() -> None:
    """Over three steps, so that the centre counts."""
    criterion = pytest.importorskip("lightly.loss").DINOLoss(output_dim=12, teacher_temp=0.04)
    centre = torch.zeros(12)
    for step in range(3):
        student, teacher = (drawn(10, 12, seed=2 * step + side).div(4).requires_grad_() for side in (0, 1))
        teacher = teacher.detach()
        targets = of_other_view(sharpened(teacher, centre, 0.04))
        ours = soft_cross_entropy(student, targets, 0.1)
        theirs = criterion([teacher[0::2], teacher[1::2]], [student[0::2], student[1::2]])
        assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
        slopes = [torch.autograd.grad(loss, student)[0] for loss in (ours, theirs)]
        torch.testing.assert_close(*slopes)
        centre.lerp_(teacher.mean(dim=0), 0.1)
        torch.testing.assert_close(centre, criterion.center.flatten())
