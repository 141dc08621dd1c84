"""CORN against the paper's words as plain loops, by hand, and at its edges."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from swcl_cli.losses.ordinal import corn, corn_probabilities

CLASSES = 5
LOGITS = torch.randn(9, CLASSES - 1, generator=torch.Generator().manual_seed(0)) * 2
LABELS = torch.tensor([0, 4, 2, 2, 1, 0, 3, 4, 1])


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def naive(logits: Tensor, labels: Tensor, weights: list[float]) -> float:
    """A task for each rank: its training set holds the examples above the rank before, their label is y > rank."""
    total, size = 0.0, 0.0
    for rank in range(logits.shape[1]):
        for row, grade in zip(logits.tolist(), labels.tolist(), strict=True):
            if rank > 0 and not grade > rank - 1:
                continue
            chance = sigmoid(row[rank])
            total -= weights[grade] * math.log(chance if grade > rank else 1 - chance)
            size += weights[grade]
    return total / size


@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0, 3.0, 0.25]])
def test_the_loss_is_that_of_the_paper(weights: list[float] | None) -> None:
    given = None if weights is None else torch.tensor(weights)
    expected = naive(LOGITS, LABELS, weights or [1.0] * CLASSES)
    assert corn(LOGITS, LABELS, given).item() == pytest.approx(expected, rel=1e-5)


def test_probabilities_are_products_of_conditional_ones() -> None:
    found = corn_probabilities(LOGITS)
    assert found.shape == (9, CLASSES) and (found >= 0).all()
    assert found.sum(dim=1).tolist() == pytest.approx([1.0] * 9)
    for row, probabilities in zip(LOGITS.tolist(), found.tolist(), strict=True):
        above = [1.0]
        for value in row:
            above.append(above[-1] * sigmoid(value))
        above.append(0.0)
        assert probabilities == pytest.approx([above[k] - above[k + 1] for k in range(CLASSES)], abs=1e-6)
        assert [math.fsum(probabilities[k + 1 :]) for k in range(CLASSES - 1)] == pytest.approx(above[1:-1], abs=1e-6)


def test_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])
    assert corn_probabilities(logits)[0].tolist() == pytest.approx([1 / 2, 1 / 8, 3 / 8])
    assert corn(logits, torch.tensor([0])).item() == pytest.approx(math.log(2))  # of rank 0 alone
    assert corn(logits, torch.tensor([2])).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_two_classes_are_a_logistic_regression() -> None:
    logits, labels = LOGITS[:, :1], (LABELS > 1).long()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels.float())
    assert corn(logits, labels).item() == pytest.approx(entropy.item(), rel=1e-6)


@pytest.mark.parametrize("labels", [[0] * 9, [4] * 9])
def test_gradients_are_finite_where_scores_are_extreme(labels: list[int]) -> None:
    logits = (LOGITS * 1e4).requires_grad_()
    loss = corn(logits, torch.tensor(labels))
    loss.backward()
    assert torch.isfinite(loss) and logits.grad is not None and torch.isfinite(logits.grad).all()
    probabilities = corn_probabilities(logits)
    assert (probabilities >= 0).all() and torch.isfinite(probabilities).all()
