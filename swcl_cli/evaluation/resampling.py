"""Compute many measures at once, on resampled rows too: each is a function of how often every row counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swcl_cli import chance

Weights = NDArray[np.float64]  # (R, N): how often each of N rows counts in each of R resamples
Values = NDArray[np.float64]  # (R,)
NUMBERS_AT_ONCE = 2_000_000  # of weights


@dataclass(frozen=True)
class Measure:
    """Define a measure: of(weights) returns its values, NaN where it has none; `lacking` says why it may have none.

    parts: (N,) each, the kinds of rows that it needs, such as ill and well ones; empty: rows of any kind. lowest and
    highest: what it can be; one of them may be infinite. of_pairs: it compares rows of both parts with each other.
    Without `resampled` it is fixed, and has no interval.
    """

    of: Callable[[Weights], Values]
    lacking: str = ""
    resampled: bool = True
    parts: tuple[NDArray[np.bool_], ...] = ()
    lowest: float = 0.0
    highest: float = 1.0
    of_pairs: bool = False


def among(measure: Measure, rows: NDArray[np.bool_]) -> Measure:
    """Define a measure of all rows (N,) by one of some of them."""
    if rows.all():
        return measure

    def of(weights: Weights) -> Values:
        return measure.of(weights[:, rows])

    parts = []
    for part in measure.parts or (np.ones(int(rows.sum()), bool),):
        whole = np.zeros(len(rows), bool)
        whole[rows] = part
        parts.append(whole)
    return replace(measure, of=of, parts=tuple(parts))


def evaluate(measures: Mapping[str, Measure], rows: int) -> tuple[dict[str, float], dict[str, str]]:
    """Compute each measure with each row counted once, and the reasons for those that are not a number."""
    once = np.ones((1, rows))
    values = {name: float(measure.of(once)[0]) for name, measure in measures.items()}
    return values, {name: measures[name].lacking for name, value in values.items() if np.isnan(value)}


def share(right: ArrayLike, weights: Weights, among: ArrayLike | None = None) -> Values:
    """Return the mean of `right` (N,), over the rows `among` (N,) where it is given. NaN where no row counts."""
    within = np.ones(weights.shape[1]) if among is None else np.asarray(among, np.float64)
    return ratio(weights @ (np.where(within > 0, np.asarray(right, np.float64), 0) * within), weights @ within)


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> Values:
    """Divide part by whole; NaN where the whole is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def ranked_auc(truth: ArrayLike, score: ArrayLike, weights: Weights) -> Values:
    """Return the area under the ROC curve, as `metrics.auc`, of rows that count `weights` times. truth, score: (N,)."""
    truth, score = np.asarray(truth, bool), np.asarray(score, np.float64)
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))  # of equal scores
    positive, negative = (
        np.add.reduceat((weights * rows)[:, order], starts, axis=1) for rows in (truth, ~truth)
    )  # (R, T) each
    return counted_auc(positive, negative)


def counted_auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> Values:
    """Return the area under the ROC curve of scores in T ascending bins: (R, T) counts each. A tie is half right."""
    rightly = (positive * (np.cumsum(negative, axis=1) - negative / 2)).sum(axis=1)
    return ratio(rightly, positive.sum(axis=1) * negative.sum(axis=1))


def auc_measure(truth: ArrayLike, score: ArrayLike, lacking: str = "") -> Measure:
    """Define the area under the ROC curve. truth, score: (N,)."""
    true = np.asarray(truth, bool)
    return Measure(partial(ranked_auc, true, score), lacking, parts=(true, ~true), of_pairs=True)


def share_measure(right: ArrayLike, among: ArrayLike, lacking: str = "") -> Measure:
    """Define the mean of `right` over the rows `among`, (N,) each."""
    rows = np.asarray(among, bool)
    return Measure(partial(share, right, among=rows), lacking, parts=(rows,))


def quadratic_kappas(truth: ArrayLike, predicted: ArrayLike, weights: Weights) -> Values:
    """Return Cohen's kappa with quadratic weights (the distance of grades). truth, predicted: (N,) grades."""
    t, p = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    count = weights.sum(axis=1)
    by_chance = weights @ (t**2 + p**2) - ratio(2 * (weights @ t) * (weights @ p), count)
    return 1 - ratio(weights @ (t - p) ** 2, by_chance)


def resampled(groups: NDArray[np.generic], seed: int, resamples: int) -> Iterator[Weights]:
    """Draw whole groups (N,) with replacement; yield how often each of N rows counts, some resamples at a time."""
    _, codes = np.unique(groups, return_inverse=True)
    count = int(codes.max()) + 1
    draw = chance.generator(seed, "bootstrap")
    at_once = max(1, NUMBERS_AT_ONCE // len(codes))
    for first in range(0, resamples, at_once):
        rows = min(at_once, resamples - first)
        drawn = draw.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        yield times[:, codes].astype(np.float64)
