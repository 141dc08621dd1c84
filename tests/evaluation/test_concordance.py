"""Pairs that scores order as amounts do, against counting pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from swcl_cli.evaluation.concordance import concordance_measure
from swcl_cli.evaluation.metrics import auc, stratified_auc


def test_values_by_hand() -> None:
    """Stratum x: 3 > 2 > 1 with scores 0.9, 0.1, 0.5: two of three pairs; y: a tie in amount, and one in score."""
    measure = concordance_measure([3, 2, 1, 5, 5, 4], [0.9, 0.1, 0.5, 0.3, 0.7, 0.3], list("xxxyyy"))
    assert measure.of(np.ones((1, 6)))[0] == pytest.approx((2 + 0.5 + 1) / 5)
    assert measure.of(np.array([[1, 1, 1, 0, 0, 0.0]]))[0] == pytest.approx(2 / 3)
    assert np.isnan(measure.of(np.array([[1, 0, 0, 1, 0, 0.0]]))[0])


@pytest.mark.parametrize("strata", [1, 4])
def test_rows_that_count_several_times_pair_by_pair(strata: int) -> None:
    rng = np.random.default_rng(0)
    amount, score = rng.integers(0, 5, 40), rng.integers(0, 8, 40) / 8
    stratum, weights = rng.integers(0, strata, 40), rng.integers(0, 3, (5, 40)).astype(float)
    expected = []
    for row in weights:
        right = pairs = 0.0
        for i in range(40):
            for j in range(40):
                if stratum[i] == stratum[j] and amount[i] > amount[j]:
                    pairs += row[i] * row[j]
                    right += row[i] * row[j] * (float(score[i] > score[j]) + float(score[i] == score[j]) / 2)
        expected.append(right / pairs)
    assert concordance_measure(amount, score, stratum).of(weights) == pytest.approx(expected)


def test_of_two_amounts_it_is_the_area_under_the_roc_curve() -> None:
    rng = np.random.default_rng(1)
    truth, score, stratum = rng.random(60) < 0.4, rng.random(60), rng.integers(0, 3, 60)
    once = np.ones((1, 60))
    assert concordance_measure(truth, score, np.zeros(60)).of(once)[0] == pytest.approx(auc(truth, score))
    assert concordance_measure(truth, score, stratum).of(once)[0] == pytest.approx(
        stratified_auc(truth, score, stratum)
    )
