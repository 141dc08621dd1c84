"""Measure predictions of numbers, such as an age: errors in the label's own unit, and shares of what is explained."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swcl_cli.evaluation.resampling import Measure, Values, Weights, ratio, share

Array = NDArray[Any]
NOTHING_VARIES = 1e-12  # of the mean square: what remains of numbers that are equal, by the order of summation


def number_measures(name: str, truth: ArrayLike, predicted: ArrayLike) -> dict[str, Measure]:
    """Define the measures of a label that is a number. truth, predicted: (N,), in its own unit.

    `mae`: the mean absolute error; `r2`: 1 minus the sum of squared errors over that of distances from the mean of the
    rows that count; `pearson`: the correlation.
    """
    true, said = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    equal = f"{name} is the same in all that are tested"
    return {
        "mae": Measure(partial(share, np.abs(said - true)), f"no photograph has a {name}", highest=np.inf),
        "r2": Measure(partial(determinations, true, said), equal, lowest=-np.inf),
        "pearson": Measure(partial(correlations, true, said), f"{equal}, labels or answers", lowest=-1.0),
    }


def determinations(truth: Array, predicted: Array, weights: Weights) -> Values:
    """Return the coefficient of determination R2, (N,) each -> (R,). NaN where the truth does not vary."""
    return 1 - ratio(weights @ (predicted - truth) ** 2, _spread(truth, truth, weights))


def correlations(truth: Array, predicted: Array, weights: Weights) -> Values:
    """Return Pearson's correlation, (N,) each -> (R,). NaN where either does not vary."""
    both = _spread(truth, truth, weights) * _spread(predicted, predicted, weights)
    return ratio(_spread(truth, predicted, weights), np.sqrt(both))


def _spread(first: Array, second: Array, weights: Weights) -> Values:
    """Return the sum of products of distances from the means of the rows that count; 0 where a spread is rounding."""
    if not first.size:
        return np.zeros(len(weights))
    x, y = first - first.mean(), second - second.mean()  # near 0, so that little is lost in the difference below
    squares = weights @ (x * y)
    products = squares - ratio((weights @ x) * (weights @ y), weights.sum(axis=1))
    least = NOTHING_VARIES * np.sqrt((weights @ x**2) * (weights @ y**2))
    return np.where(np.abs(products) > least, products, 0.0)
