"""Measures: against plain loops, by hand, at their edges; the bootstrap against theory."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from swcl_cli.evaluation.metrics import (
    auc,
    binary_outcomes,
    reliability,
    roc_points,
    stratified_auc,
)


def test_auc_is_the_share_of_ordered_pairs() -> None:
    rng = np.random.default_rng(0)
    truth, score = rng.integers(0, 2, 60), rng.integers(0, 12, 60) / 12  # with ties
    pairs = [(p > n) + 0.5 * (p == n) for p in score[truth == 1] for n in score[truth == 0]]
    assert auc(truth, score) == pytest.approx(np.mean(pairs))
    assert auc(truth, score) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)


def test_auc_by_hand_and_at_the_edges() -> None:
    assert auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
    for one_class in ([0, 0], [1, 1], []):
        assert math.isnan(auc(one_class, np.zeros(len(one_class))))
    with pytest.raises(ValueError, match="NaN"):
        auc([0, 1, 1], [0.1, math.nan, 0.2])


def scored(seed: int, count: int = 60, values: int = 12) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Truth and scores with ties; the scores reach 0 and 1."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, count), rng.integers(0, values + 1, count) / values


@pytest.mark.parametrize("seed", range(5))
def test_roc_points_are_the_shares_above_each_threshold(seed: int) -> None:
    truth, score = scored(seed)
    false, true = roc_points(truth, score)
    expected = [
        (np.mean(score[truth == 0] >= t), np.mean(score[truth == 1] >= t)) for t in [2.0, *sorted(set(score))[::-1]]
    ]
    np.testing.assert_allclose(np.stack([false, true], axis=1), expected)
    theirs = roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose((false, true), theirs[:2], atol=1e-12)
    assert np.trapezoid(true, false) == pytest.approx(auc(truth, score))


def test_roc_points_by_hand_and_at_the_edges() -> None:
    false, true = roc_points([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert false.tolist() == [0, 0, 0.5, 0.5, 1] and true.tolist() == [0, 0.5, 0.5, 1, 1]
    false, true = roc_points([0, 1], [0.5, 0.5])
    assert false.tolist() == true.tolist() == [0, 1]
    false, true = roc_points([1, 1], [0.5, 0.25])
    assert np.isnan(false).all() and true.tolist() == [0, 0.5, 1]


def test_binary_outcomes_against_loops() -> None:
    truth, score = scored(1)
    found = binary_outcomes(truth, score)
    names = {(1, True): "true_positives", (0, True): "false_positives", (1, False): "false_negatives"}
    counts = dict.fromkeys([*names.values(), "true_negatives"], 0)
    for t, s in zip(truth.tolist(), score.tolist(), strict=True):
        counts[names.get((t, s > 0.5), "true_negatives")] += 1
    assert {name: found[name] for name in counts} == counts and 0.5 in score
    theirs = confusion_matrix(truth, score > 0.5)
    assert theirs.ravel().tolist() == [
        counts[name] for name in ("true_negatives", "false_positives", "false_negatives", "true_positives")
    ]
    assert found["sensitivity"] == pytest.approx(counts["true_positives"] / truth.sum())
    assert found["specificity"] == pytest.approx(counts["true_negatives"] / (1 - truth).sum())
    assert math.isnan(binary_outcomes([1, 1], [0.2, 0.9])["specificity"])
    assert binary_outcomes([0, 1], [0.3, 0.4], 0.3)["specificity"] == 1


@pytest.mark.parametrize("seed", range(5))
def test_reliability_against_loops(seed: int) -> None:
    truth, score = scored(seed, 200, 20)  # with scores on the edges of bins
    found = reliability(truth, score, bins=10)
    error = 0.0
    for place in range(10):
        low, high = place / 10, (place + 1) / 10
        rows = [i for i, s in enumerate(score) if (low < s or place == 0) and s <= high]
        assert found.count[place] == len(rows) > 0
        assert found.score[place] == pytest.approx(np.mean(score[rows]))
        assert found.share[place] == pytest.approx(np.mean(truth[rows]))
        error += len(rows) / 200 * abs(float(np.mean(truth[rows]) - np.mean(score[rows])))
    assert found.expected_calibration_error == pytest.approx(error)
    share, mean = calibration_curve(truth, score, n_bins=10)
    np.testing.assert_allclose((found.share, found.score), (share, mean))


def test_reliability_by_hand_and_at_the_edges() -> None:
    found = reliability([0, 1, 1, 1], [0.1, 0.3, 0.5, 1.0], bins=2)
    assert found.count.tolist() == [3, 1]
    assert found.score.tolist() == pytest.approx([0.3, 1]) and found.share.tolist() == pytest.approx([2 / 3, 1])
    assert found.expected_calibration_error == pytest.approx(3 / 4 * (2 / 3 - 0.3))
    sparse = reliability([1], [0.95])
    assert sparse.count.tolist() == [0] * 9 + [1] and np.isnan(sparse.share[:9]).all()
    assert sparse.expected_calibration_error == pytest.approx(0.05)
    assert math.isnan(reliability([], []).expected_calibration_error)
    for impossible in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="no probability"):
            reliability([1], [impossible])


def test_stratified_auc_against_counting_pairs() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth, score, stratum = rng.random(60) < 0.4, rng.integers(0, 8, 60), rng.integers(0, 3, 60)
        orders = [
            1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
            for i in range(60)
            for j in range(60)
            if truth[i] and not truth[j] and stratum[i] == stratum[j]
        ]
        assert stratified_auc(truth, score, stratum) == pytest.approx(np.mean(orders))
    assert np.isnan(stratified_auc([1, 0], [0.2, 0.1], ["a", "b"]))


@pytest.mark.filterwarnings("error")
def test_what_is_absent_comes_without_a_warning() -> None:
    assert np.isnan(roc_points([1, 1], [0.5, 0.25])[0]).all() and np.isnan(roc_points([0], [0.5])[1]).all()
    low = reliability([1], [0.05])
    assert low.count.tolist() == [1] + [0] * 9 and low.share[0] == 1 and np.isnan(low.share[1:]).all()
