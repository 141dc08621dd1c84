"""Measures of weighted rows are the plain ones of rows repeated that often."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from swcl_cli import chance
from swcl_cli.evaluation import resampling
from swcl_cli.evaluation.resampling import Measure, evaluate, quadratic_kappas, ranked_auc, ratio, resampled, share

Number = TypeVar("Number", np.int64, np.float64)
ROWS = 40
RNG = np.random.default_rng(0)
TRUTH, SCORE = RNG.integers(0, 2, ROWS), RNG.integers(0, 9, ROWS) / 9  # with ties
GRADE, ANSWER = RNG.integers(0, 4, (2, ROWS))
TIMES = RNG.integers(0, 4, (12, ROWS))
WEIGHTS = TIMES.astype(np.float64)


def repeated(values: NDArray[Number], times: NDArray[np.int64]) -> NDArray[Number]:
    return np.repeat(values, times)


def test_auc_of_weights_is_scikit_learns_of_repeated_rows() -> None:
    expected = [roc_auc_score(repeated(TRUTH, times), repeated(SCORE, times)) for times in TIMES]
    np.testing.assert_allclose(ranked_auc(TRUTH, SCORE, WEIGHTS), expected, atol=1e-12)


def test_kappa_of_weights_is_scikit_learns_of_repeated_rows() -> None:
    expected = [
        cohen_kappa_score(repeated(GRADE, times), repeated(ANSWER, times), weights="quadratic") for times in TIMES
    ]
    np.testing.assert_allclose(quadratic_kappas(GRADE, ANSWER, WEIGHTS), expected, atol=1e-12)


def test_kappa_weighs_the_distance_of_grades_where_one_between_is_absent() -> None:
    truth, answer = [0, 3, 4, 4], [0, 4, 4, 0]
    expected = cohen_kappa_score(truth, answer, labels=range(5), weights="quadratic")
    assert quadratic_kappas(truth, answer, np.ones((1, 4))) == pytest.approx(expected)
    assert expected == pytest.approx(1 - 17 / 29) and expected != cohen_kappa_score(truth, answer, weights="quadratic")


def test_share_of_weights_is_the_mean_of_repeated_rows() -> None:
    among = GRADE > 0
    expected = [repeated(SCORE[among], times[among]).mean() for times in TIMES]
    np.testing.assert_allclose(share(SCORE, WEIGHTS, among), expected)
    np.testing.assert_allclose(share(SCORE, WEIGHTS), [repeated(SCORE, times).mean() for times in TIMES])


def test_by_hand() -> None:
    once = np.ones((1, 4))
    assert ranked_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], once) == [0.75]
    assert ranked_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], np.array([[1, 0, 1, 0]])) == [1]
    assert quadratic_kappas([0, 1, 2, 2], [0, 1, 2, 0], once) == pytest.approx(1 - 4 / (9 + 5 - 2 * 5 * 3 / 4))
    assert share([1, 0, 0, 1], once) == [0.5] and share([1, 0, 0, 1], once, [1, 1, 0, 0]) == [0.5]


def test_what_has_no_value_is_not_a_number() -> None:
    nothing = np.array([[0.0, 0.0, 1.0]])
    for values in (
        ranked_auc([1, 0, 0], [0.1, 0.2, 0.3], nothing),
        ranked_auc([1, 1, 1], [0.1, 0.2, 0.3], np.ones((1, 3))),
        quadratic_kappas([1, 1, 1], [1, 1, 1], np.ones((1, 3))),
        share([1, 1, 1], nothing, [1, 1, 0]),
    ):
        assert values.shape == (1,) and np.isnan(values).all()
    assert share([math.nan, 1.0], np.ones((1, 2)), [False, True]) == [1]


def test_values_and_reasons() -> None:
    measures = {
        "share": Measure(lambda weights: share([1, 0], weights)),
        "lost": Measure(lambda weights: np.full(len(weights), np.nan), "there is none"),
        "fixed": Measure(lambda weights: np.full(len(weights), 0.3), resampled=False),
    }
    values, reasons = evaluate(measures, 2)
    assert values["share"] == 0.5 and math.isnan(values["lost"]) and values["fixed"] == 0.3
    assert reasons == {"lost": "there is none"}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "NUMBERS_AT_ONCE", 100)
    seen = [weights.shape for weights in resampled(np.arange(ROWS), seed=0, resamples=11)]
    assert seen == [(2, ROWS)] * 5 + [(1, ROWS)]


@pytest.mark.filterwarnings("error")
def test_ratios_of_nothing_are_no_numbers_and_no_warnings() -> None:
    found = ratio(np.array([0.0, 1.0, 0.5, 2.0]), np.array([0.0, 0.0, 0.5, 4.0]))
    np.testing.assert_array_equal(found, [math.nan, math.nan, 1.0, 0.5])


def test_grades_may_be_stored_in_a_byte() -> None:
    """Their differences are below 0, their squares above 255."""
    once, truth, answer = np.ones((1, 4)), np.array([0, 3, 17, 4], np.uint8), np.array([20, 4, 4, 0], np.uint8)
    expected = cohen_kappa_score(truth, answer, labels=range(21), weights="quadratic")
    assert quadratic_kappas(truth, answer, once) == pytest.approx(expected)


@pytest.mark.parametrize("at_once", [1, 13, 10**9])
def test_draws_are_those_of_their_key_however_many_at_once(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "NUMBERS_AT_ONCE", at_once)
    groups = list("bbac")
    weights = np.concatenate(list(resampled(np.array(groups), seed=3, resamples=50)))
    drawn = chance.generator(3, "bootstrap").integers(3, size=(50, 3)).tolist()
    assert weights.tolist() == [[row.count("abc".index(group)) for group in groups] for row in drawn]
    assert weights.dtype == np.float64


def test_whole_groups_are_drawn_with_replacement() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    (weights,) = resampled(groups, seed=0, resamples=200)
    for name in "abc":
        assert (weights[:, groups == name] == weights[:, groups == name][:, :1]).all()
    assert (weights[:, [1, 0, 3]].sum(axis=1) == 3).all() and len(np.unique(weights, axis=0)) > 7
    other = next(resampled(groups, seed=1, resamples=200))
    assert (next(resampled(groups, seed=0, resamples=200)) == weights).all() and (other != weights).any()
