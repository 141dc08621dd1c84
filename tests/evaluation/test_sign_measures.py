"""Measures of several signs at once: against scikit-learn, by loops, and where signs are absent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from swcl_cli.evaluation.intervals import intervals
from swcl_cli.evaluation.resampling import Measure, evaluate
from swcl_cli.evaluation.sign_measures import average_precisions, best_thresholds, sign_measures

NAMES = ("DR", "AMD", "glaucoma")


def drawn(seed: int, count: int = 60) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return rng.random((count, 3)) < [0.5, 0.3, 0.1], rng.integers(0, 20, (count, 3)) / 20  # some scores are equal


def values(measures: dict[str, Measure], rows: int) -> dict[str, float]:
    return evaluate(measures, rows)[0]


@pytest.mark.parametrize("seed", range(3))
def test_against_scikit_learn(seed: int) -> None:
    truth, scores = drawn(seed)
    thresholds = np.array([0.3, 0.5, 0.7])
    found = {name: values(part, 60) for name, part in sign_measures(NAMES, truth, scores, thresholds).items()}
    assert found[""] == pytest.approx(
        {
            "auc": roc_auc_score(truth, scores, average="macro"),
            "average_precision": average_precision_score(truth, scores, average="macro"),
            "f1": f1_score(truth, scores > thresholds, average="macro"),
        }
    )
    for number, name in enumerate(NAMES):
        true, score = truth[:, number], scores[:, number]
        assert found[name] == pytest.approx(
            {
                "auc": roc_auc_score(true, score),
                "average_precision": average_precision_score(true, score),
                "f1": f1_score(true, score > thresholds[number]),
            }
        )
    assert "f1" not in sign_measures(NAMES, truth, scores)[""]


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_of_rows_that_count_several_times(seed: int) -> None:
    truth, scores = drawn(seed)
    weights = np.random.default_rng(seed).integers(0, 3, (4, 60)).astype(np.float64)
    for true, score in zip(truth.T, scores.T, strict=True):
        expected = [
            average_precision_score(true, score, sample_weight=row) if row[true].any() else np.nan for row in weights
        ]
        np.testing.assert_allclose(average_precisions(true, score, weights), expected, atol=1e-12)


def test_average_precision_by_hand() -> None:
    """The positives are first and third: (1 + 2 / 3) / 2; without one there is none."""
    score, once = [0.9, 0.8, 0.7, 0.1], np.ones((1, 4))
    assert average_precisions([1, 0, 1, 0], score, once) == pytest.approx([5 / 6])
    assert np.isnan(average_precisions([0, 0, 0, 0], score, once)).all()


def test_signs_that_are_nowhere_or_everywhere_have_no_say() -> None:
    truth, scores = drawn(0)
    truth[:, 1], truth[:, 2] = False, True
    measures = sign_measures(NAMES, truth, scores, np.array([0.5, 2.0, 0.5]))
    assert values(measures[""], 60)["auc"] == pytest.approx(roc_auc_score(truth[:, 0], scores[:, 0]))
    assert values(measures[""], 60)["f1"] == pytest.approx(
        np.mean([f1_score(truth[:, k], scores[:, k] > 0.5) for k in (0, 2)])
    )
    _, reasons = evaluate(measures["AMD"], 60)
    assert set(reasons.values()) == {"no photograph has AMD", "no photograph has AMD, neither labels nor answers"}
    assert evaluate(measures["glaucoma"], 60)[1] == {"auc": "all photographs have glaucoma"}
    nothing = sign_measures(NAMES, np.zeros((60, 3), bool), scores, np.full(3, 2.0))[""]
    found, reasons = evaluate(nothing, 60)
    assert np.isnan([*found.values()]).all() and len(reasons) == 3


@pytest.mark.parametrize("seed", range(4))
def test_thresholds_have_the_highest_f1(seed: int) -> None:
    truth, scores = drawn(seed, 25)
    truth[:, 2] = False
    found = best_thresholds(truth, scores)
    for number in (0, 1):
        best = max(
            f1_score(truth[:, number], scores[:, number] > value, zero_division=0) for value in np.linspace(0, 1, 201)
        )
        assert f1_score(truth[:, number], scores[:, number] > found[number]) == pytest.approx(best)
    assert found[2] == 0.5


def test_thresholds_by_hand() -> None:
    """Above 0.5 there is one of two; of the thresholds between two scores the middle is taken."""
    truth, scores = np.array([[1], [1], [0], [0]]), np.array([[0.8], [0.4], [0.3], [0.1]])
    assert best_thresholds(truth, scores) == pytest.approx([0.35])
    assert best_thresholds(np.ones((3, 1)), np.array([[0.6], [0.8], [0.9]])) == pytest.approx([0.3])
    assert best_thresholds(truth[:2], np.zeros((2, 1))) == pytest.approx([0.5])


def test_intervals_hold_their_values() -> None:
    truth, scores = drawn(2)
    measures: Any = sign_measures(NAMES, truth, scores, np.full(3, 0.5))
    for of_sign in measures.values():
        for name, (low, high) in intervals(of_sign, np.arange(60) // 2).items():
            assert 0 <= low <= values(of_sign, 60)[name] <= high <= 1
