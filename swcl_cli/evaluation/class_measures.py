"""Measure classifiers of photographs: each head, and all heads together (paper IV; FACTS E8)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swcl_cli.evaluation.resampling import (
    Measure,
    Values,
    Weights,
    auc_measure,
    quadratic_kappas,
    share,
    share_measure,
)

Array = NDArray[Any]
SPECIFICITY = 0.9  # on validation, of the second threshold


def class_measures(
    truths: Mapping[str, Array], scores: Mapping[str, Array], thresholds: Mapping[str, float] | None = None
) -> dict[str, Measure]:
    """Define the measures of each head. Where there are several, names begin with the head's name.

    truths: (N,) classes; scores: (N, K) probabilities; thresholds: `specific_threshold` of each head. With
    several heads `joint_accuracy` is the share of photographs for which all heads are right. AUC, sensitivity and
    specificity are of "any class above 0", of two classes hence of class 1.
    """
    predicted = {head: probabilities.argmax(axis=1) for head, probabilities in scores.items()}
    measures = {}
    if len(truths) > 1:
        right = np.logical_and.reduce([truths[head] == predicted[head] for head in truths])
        measures["joint_accuracy"] = Measure(partial(share, right))
    for head, truth in truths.items():
        threshold = None if thresholds is None else thresholds[head]
        prefix = f"{head}_" if len(truths) > 1 else ""
        of_head = _head_measures(head, truth, scores[head], predicted[head], threshold)
        measures |= {f"{prefix}{name}": measure for name, measure in of_head.items()}
    return measures


def specific_threshold(truth: ArrayLike, score: ArrayLike) -> float:
    """Return the lowest score t of a negative such that 90 % of the negatives are not above t. NaN without negatives.

    truth, score: (N,) each.
    """
    negatives = np.sort(np.asarray(score, np.float64)[~np.asarray(truth, bool)])
    if not len(negatives):
        return float("nan")
    return float(negatives[int(np.ceil(round(SPECIFICITY * len(negatives), 9))) - 1])


def any_grade(probabilities: Array) -> Array:
    """Return how probable any class above 0 is: (N, K) -> (N,)."""
    above: Array = probabilities[:, 1:].sum(axis=1, dtype=np.float64)
    return above


def _head_measures(
    head: str, truth: Array, probabilities: Array, predicted: Array, threshold: float | None
) -> dict[str, Measure]:
    ill, score = truth > 0, any_grade(probabilities)
    none_ill = f"no photograph has {head} above 0"
    all_ill = f"no photograph has {head} 0"
    measures = {
        "auc": auc_measure(ill, score, all_ill if ill.all() else none_ill),
        "accuracy": Measure(partial(share, truth == predicted)),
        "kappa": Measure(
            partial(quadratic_kappas, truth, predicted), f"{head} is the same in all, labels and answers", lowest=-1.0
        ),
        **_rates(ill, predicted > 0, none_ill, all_ill),
    }
    if threshold is None:
        return measures
    unset = f"no photograph of val has {head} 0, so that no threshold can be chosen there"
    at_threshold = _rates(ill, score > threshold, none_ill, all_ill) if np.isfinite(threshold) else {}
    for name in ("sensitivity", "specificity"):
        measures[f"{name}_at_90"] = at_threshold.get(name, Measure(_no_value, unset))
    measures["threshold_at_90"] = Measure(lambda weights: np.full(len(weights), threshold), unset, resampled=False)
    return measures


def _rates(ill: Array, predicted: Array, none_ill: str, all_ill: str) -> dict[str, Measure]:
    return {
        "sensitivity": share_measure(predicted, ill, none_ill),
        "specificity": share_measure(~predicted, ~ill, all_ill),
    }


def _no_value(weights: Weights) -> Values:
    return np.full(len(weights), np.nan)
