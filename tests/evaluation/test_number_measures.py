"""Measures of numbers against scikit-learn and scipy, on resampled rows too, and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, t
from sklearn.metrics import mean_absolute_error, r2_score

from swcl_cli.catalogue.labels import Label
from swcl_cli.evaluation.class_measures import class_measures
from swcl_cli.evaluation.intervals import NONE, intervals, one_sided_interval
from swcl_cli.evaluation.number_measures import number_measures
from swcl_cli.evaluation.resampling import evaluate

RNG = np.random.default_rng(0)
TRUTH = 60 + 12 * RNG.normal(size=40)
SAID = TRUTH + 8 * RNG.normal(size=40)


@pytest.mark.parametrize("shift", [0.0, -1000.0, 1e6])
def test_against_scikit_learn_however_often_rows_count(shift: float) -> None:
    weights = RNG.integers(0, 4, size=(25, 40)).astype(np.float64)
    weights[0] = 1
    found = {name: measure.of(weights) for name, measure in number_measures("x", TRUTH + shift, SAID + shift).items()}
    for row, times in enumerate(weights.astype(int)):
        true, said = np.repeat(TRUTH + shift, times), np.repeat(SAID + shift, times)
        assert found["mae"][row] == pytest.approx(mean_absolute_error(true, said))
        assert found["r2"][row] == pytest.approx(r2_score(true, said))
        assert found["pearson"][row] == pytest.approx(pearsonr(true, said)[0])


def test_by_hand() -> None:
    values, reasons = evaluate(number_measures("age", [1, 2, 3], [1, 1, 5]), 3)
    assert values["mae"] == 1 and values["r2"] == pytest.approx(1 - 5 / 2) and not reasons
    assert values["pearson"] == pytest.approx(4 / np.sqrt(2 * 32 / 3))


def test_where_nothing_varies() -> None:
    values, reasons = evaluate(number_measures("age", [0.1] * 3, [0.1, 0.2, 0.4]), 3)
    assert values["mae"] == pytest.approx(0.4 / 3) and np.isnan(values["r2"]) and np.isnan(values["pearson"])
    assert reasons["r2"] == "age is the same in all that are tested"
    values, reasons = evaluate(number_measures("age", [1, 2, 3], [0.3] * 3), 3)
    assert values["r2"] < 0 and reasons == {"pearson": "age is the same in all that are tested, labels or answers"}
    empty, reasons = evaluate(number_measures("age", [], []), 0)
    assert np.isnan([*empty.values()]).all() and reasons["mae"] == "no photograph has a age"


def test_beside_other_heads() -> None:
    """A number that is not known has no part; the mean is that of R2 and the AUC."""
    own = {"x": Label("x", "number", "x"), "y": Label("y", "classes", "y", names=("a", "b"))}
    numbers = np.append(TRUTH, np.nan)
    classes = np.append(RNG.integers(0, 2, 40), -1)
    chances = RNG.random((41, 1))
    scores = {"x": np.append(SAID, 7.0)[:, None], "y": np.hstack([1 - chances, chances])}
    values, _ = evaluate(class_measures({"x": numbers, "y": classes}, scores, None, own), 41)
    assert values["x_r2"] == pytest.approx(r2_score(TRUTH, SAID))
    assert values["mean"] == pytest.approx((values["x_r2"] + values["y_auc"]) / 2)
    alone, _ = evaluate(class_measures({"x": numbers}, {"x": scores["x"]}, None, own), 41)
    assert alone == {name: values[f"x_{name}"] for name in ("mae", "r2", "pearson")}


def test_intervals_stay_on_their_side_of_the_bound() -> None:
    found = intervals(number_measures("x", TRUTH, SAID), np.arange(40))
    assert 0 < found["mae"][0] < found["mae"][1] and found["r2"][0] < found["r2"][1] < 1
    errors = np.abs(TRUTH - SAID)
    width = t.ppf(0.975, 39) * errors.std(ddof=1) / np.sqrt(40) / errors.mean()
    assert np.log(found["mae"]) == pytest.approx(np.log(errors.mean()) + width * np.array([-1, 1]), rel=1e-6)
    assert intervals(number_measures("x", TRUTH, TRUTH), np.arange(40))["mae"] is NONE
    assert one_sided_interval(1.0, 0.1, 9, -np.inf, 1.0) is NONE
