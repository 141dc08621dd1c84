"""Measure classifiers of several signs at once, of which a photograph may have any number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swcl_cli.evaluation.resampling import Measure, Values, Weights, auc_measure, ranked_auc, ratio

Array = NDArray[Any]
EVEN = 0.5  # threshold of a sign that no photograph of validation has


def sign_measures(
    names: Sequence[str], truth: Array, scores: Array, thresholds: Array | None = None
) -> dict[str, dict[str, Measure]]:
    """Define the measures of each sign by its name, and under '' their means over the signs that have one.

    truth, scores: (N, K), of K signs; thresholds: (K,), `best_thresholds` of validation. `auc` is the mean of the AUC
    of each sign (macro), `average_precision` the mean average precision, `f1`, where there are thresholds, that of
    scores above them: 2 TP / (2 TP + FP + FN).
    """
    said = None if thresholds is None else scores > np.asarray(thresholds)
    measures: dict[str, dict[str, Measure]] = {"": {}}
    for number, name in enumerate(names):
        true, score = truth[:, number], scores[:, number]
        absent = f"no photograph has {name}"
        of_sign = {
            "auc": auc_measure(true, score, f"all photographs have {name}" if true.all() else absent),
            "average_precision": Measure(partial(average_precisions, true, score), absent, parts=(true,)),
        }
        if said is not None:
            of_sign["f1"] = Measure(partial(f1s, true, said[:, number]), f"{absent}, neither labels nor answers")
        measures[name] = of_sign
    kinds = truth.T
    both = np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0))
    some = np.flatnonzero(truth.any(axis=0))
    apart = tuple(part for number in both for part in (kinds[number], ~kinds[number]))
    measures[""] = {
        "auc": Measure(partial(mean_auc, kinds[both], scores.T[both]), parts=apart, of_pairs=True)
        if len(both)
        else Measure(_no_value, "no sign is there in some photographs and absent in others"),
        "average_precision": Measure(partial(_mean_precision, kinds[some], scores.T[some]), parts=tuple(kinds[some]))
        if len(some)
        else Measure(_no_value, "no photograph has a sign"),
    }
    if said is not None:
        either = np.flatnonzero((truth | said).any(axis=0))
        measures[""]["f1"] = (
            Measure(partial(mean_f1, kinds[either], said.T[either]))
            if len(either)
            else Measure(_no_value, "no photograph has a sign, neither labels nor answers")
        )
    return measures


def best_thresholds(truth: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Return for each sign the threshold of the highest F1 of scores above it, (N, K) each -> (K,).

    Candidates lie in the middle between two neighbouring scores, or between the least one and 0; of equal ones that
    nearest to 0.5 is taken. Of a sign that no photograph has it is 0.5.
    """
    true, given = np.asarray(truth, bool), np.asarray(scores, np.float64)
    chosen = np.full(true.shape[1], EVEN)
    for number in np.flatnonzero(true.any(axis=0)):
        values = np.unique(np.concatenate([[0.0], given[:, number]]))
        candidates = (values[1:] + values[:-1]) / 2
        if not len(candidates):
            continue
        said = given[:, number] > candidates[:, None]  # (T, N)
        scored = 2 * (said & true[:, number]).sum(axis=1) / (said.sum(axis=1) + true[:, number].sum())
        best = candidates[np.isclose(scored, scored.max(), rtol=0, atol=1e-12)]
        chosen[number] = best[np.abs(best - EVEN).argmin()]
    return chosen


def average_precisions(truth: ArrayLike, score: ArrayLike, weights: Weights) -> Values:
    """Return the average precision: the sum over falling scores of the precision times the step of recall.

    truth, score: (N,); weights: (R, N). Equal scores are one step. NaN without a positive.
    """
    true, order = np.asarray(truth, bool), np.argsort(-np.asarray(score, np.float64), kind="stable")
    ordered = np.asarray(score, np.float64)[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of equal scores
    found = np.cumsum((weights * true)[:, order], axis=1)[:, ends]
    taken = np.cumsum(weights[:, order], axis=1)[:, ends]
    precision = np.nan_to_num(found / np.where(taken > 0, taken, np.nan))
    steps = np.diff(found, axis=1, prepend=0)
    return ratio((steps * precision).sum(axis=1), found[:, -1])


def f1s(truth: Array, said: Array, weights: Weights) -> Values:
    """Return 2 TP / (2 TP + FP + FN). truth, said: (N,)."""
    return ratio(2 * weights @ (truth & said), weights @ truth + weights @ said)


def mean_auc(true: Array, scores: Array, weights: Weights) -> Values:
    """Return the mean over classes of the AUC of each. true, scores: (K, N)."""
    aucs: Values = np.mean([ranked_auc(*of_class, weights) for of_class in zip(true, scores, strict=True)], axis=0)
    return aucs


def _mean_precision(true: Array, scores: Array, weights: Weights) -> Values:
    each = [average_precisions(*of_sign, weights) for of_sign in zip(true, scores, strict=True)]
    mean: Values = np.mean(each, axis=0)
    return mean


def mean_f1(true: Array, said: Array, weights: Weights) -> Values:
    """Return the mean over classes of the F1 of each. true, said: (K, N)."""
    mean: Values = np.mean([f1s(*of_sign, weights) for of_sign in zip(true, said, strict=True)], axis=0)
    return mean


def _no_value(weights: Weights) -> Values:
    return np.full(len(weights), np.nan)
