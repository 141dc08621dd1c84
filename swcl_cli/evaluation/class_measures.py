"""Measure classifiers of photographs: each head, and all heads together (paper IV; FACTS E8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swcl_cli.catalogue.labels import CLASSES, LABELS, NUMBER, SEVERAL, Label, part_name, primary
from swcl_cli.evaluation.calibration import calibration_measure
from swcl_cli.evaluation.number_measures import number_measures
from swcl_cli.evaluation.resampling import (
    Measure,
    Values,
    Weights,
    among,
    auc_measure,
    quadratic_kappas,
    ratio,
    share,
    share_measure,
)
from swcl_cli.evaluation.sign_measures import mean_auc, mean_f1, sign_measures

Array = NDArray[Any]
SPECIFICITY = 0.9  # on validation, of the second threshold


def class_measures(
    truths: Mapping[str, Array],
    scores: Mapping[str, Array],
    thresholds: Mapping[str, Any] | None = None,
    own: Mapping[str, Label] = MappingProxyType({}),
    before: Mapping[str, Array] | None = None,
) -> dict[str, Measure]:
    """Define the measures of each head. Where there are several, names begin with the head's name.

    truths: (N,) classes, below 0 where one is not known; scores: (N, K) probabilities; thresholds: `specific_threshold`
    of each head; own: people's own labels, and numbers, by head. With several heads `joint_accuracy` is the share of
    photographs, of those with all labels, for which all heads are right. AUC, sensitivity and specificity are of "any
    class above 0", of two classes hence of class 1; of several classes without an order see `_nominal_measures`.

    Where a head is of several signs at once, its truth is (N, K), of 0 and 1, its thresholds (K,), and its measures
    those of `sign_measures`. Where it is a number, its truth is (N,), NaN where one is not known, its scores are the
    answers (N, 1), and its measures those of `number_measures`. In place of `joint_accuracy` there may be `mean`, of
    the heads' measures that are shares; see `catalogue.labels.primary`.

    before: the scores before they were calibrated; where they are given, the `calibration_error` of classes and signs
    is measured, and that of these, by head, `uncalibrated_error`.
    """
    known = {head: is_known(truth) for head, truth in truths.items()}
    several = [head for head, label in own.items() if label.kind == SEVERAL]
    measures: dict[str, Measure] = {}
    first = primary({head: own.get(head) or LABELS[head] for head in truths}) if own else "joint_accuracy"
    if len(truths) > 1 and first == "joint_accuracy":
        whole = np.logical_and.reduce([*known.values()])
        right = np.logical_and.reduce([truths[head] == scores[head].argmax(axis=1) for head in truths])
        measures["joint_accuracy"] = among(Measure(partial(share, right[whole]), "no photograph has all labels"), whole)
    of_heads: dict[str, dict[str, Measure]] = {}
    of_parts: dict[str, Measure] = {}
    for head, truth in truths.items():
        rows, threshold = known[head], None if thresholds is None else thresholds[head]
        if head in several:
            of_signs = sign_measures(own[head].names, truth[rows] > 0, scores[head][rows], threshold)
            of_heads[head] = {name: among(measure, rows) for name, measure in of_signs.pop("").items()}
            for sign, of_sign in of_signs.items():
                part = part_name(head, sign)
                of_parts |= {f"{part}_{name}": among(measure, rows) for name, measure in of_sign.items()}
        elif head in own and own[head].kind == NUMBER:
            of_number = number_measures(head, truth[rows], scores[head][rows, 0])
            of_heads[head] = {name: among(measure, rows) for name, measure in of_number.items()}
        else:
            of_rows = _of_classes(head, truth[rows], scores[head][rows], threshold, own.get(head))
            of_heads[head] = {name: among(measure, rows) for name, measure in of_rows.items()}
        if before is not None and not (head in own and own[head].kind == NUMBER):
            of_heads[head] |= _calibration(head, truth[rows], scores[head][rows], before.get(head), rows)
    if first == "mean":
        firsts = [of_head[(own.get(head) or LABELS[head]).share] for head, of_head in of_heads.items()]
        lowest = min(-1.0, *(measure.lowest for measure in firsts))
        measures["mean"] = Measure(partial(_mean, firsts), "a head has no measure", lowest=lowest)
    for head, of_head in of_heads.items():
        prefix = f"{head}_" if len(truths) > 1 else ""
        measures |= {f"{prefix}{name}": measure for name, measure in of_head.items()}
    return measures | of_parts


def _calibration(
    head: str, truth: Array, scores: Array, before: Array | None, rows: NDArray[np.bool_]
) -> dict[str, Measure]:
    """Define the calibration errors of a head, of all rows (N,), by those of which the label is known."""
    none = f"no photograph has a {head}"
    errors = {"calibration_error": scores, **({} if before is None else {"uncalibrated_error": before[rows]})}
    return {name: among(calibration_measure(truth, said, none), rows) for name, said in errors.items()}


def is_known(truth: Array) -> NDArray[np.bool_]:
    """Return which labels are known, (N,): classes (N,) or signs (N, K) from 0, or numbers (N,) that are not NaN."""
    first = truth if truth.ndim == 1 else truth[:, 0]
    there: NDArray[np.bool_] = ~np.isnan(first) if np.issubdtype(first.dtype, np.floating) else first >= 0
    return there


def _mean(measures: Sequence[Measure], weights: Weights) -> Values:
    mean: Values = np.mean([measure.of(weights) for measure in measures], axis=0)
    return mean


def _of_classes(
    head: str, truth: Array, probabilities: Array, threshold: float | None, own: Label | None
) -> dict[str, Measure]:
    """Define the measures of a head of which a photograph has one class."""
    predicted = probabilities.argmax(axis=1)
    if own and own.kind == CLASSES and own.classes > 2:
        return _nominal_measures(head, truth, probabilities, predicted)
    kinds = (f"{head} but '{own.names[0]}'", f"{head} '{own.names[0]}'") if own else (f"{head} above 0", f"{head} 0")
    return _head_measures(head, truth, probabilities, predicted, threshold, *kinds)


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
    head: str, truth: Array, probabilities: Array, predicted: Array, threshold: float | None, above: str, first: str
) -> dict[str, Measure]:
    """Define measures of ordered classes, or of two. above, first: words for classes above the first, and for it."""
    ill, score = truth > 0, any_grade(probabilities)
    none_ill, all_ill = f"no photograph has {above}", f"no photograph has {first}"
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
    unset = f"no photograph of val has {first}, so that no threshold can be chosen there"
    at_threshold = _rates(ill, score > threshold, none_ill, all_ill) if np.isfinite(threshold) else {}
    for name in ("sensitivity", "specificity"):
        measures[f"{name}_at_90"] = at_threshold.get(name, Measure(_no_value, unset))
    measures["threshold_at_90"] = Measure(lambda weights: np.full(len(weights), threshold), unset, resampled=False)
    return measures


def _nominal_measures(head: str, truth: Array, probabilities: Array, predicted: Array) -> dict[str, Measure]:
    """Define measures of several classes without an order, each the mean over classes that occur, whatever their size.

    `auc`: of each class against all others; `balanced_accuracy`: the share of a class that is found; `f1`: 2 TP / (2 TP
    + FP + FN) of a class, over those that occur among labels or answers. `kappa`: Cohen's, without weights.
    """
    true, said = (part[None, :] == np.arange(probabilities.shape[1])[:, None] for part in (truth, predicted))  # (K, N)
    there = np.flatnonzero(true.any(axis=1))
    kinds = tuple(true[there])
    one = f"no photograph has another {head} than the others"
    either = np.flatnonzero((true | said).any(axis=1))
    return {
        "auc": Measure(partial(mean_auc, true[there], probabilities.T[there]), one, parts=kinds, of_pairs=True),
        "accuracy": Measure(partial(share, truth == predicted)),
        "balanced_accuracy": Measure(partial(_mean_recall, true[there], said[there]), parts=kinds),
        "f1": Measure(partial(mean_f1, true[either], said[either])),
        "kappa": Measure(partial(_kappas, true, said), f"{head} is the same in all, labels and answers", lowest=-1.0),
    }


def _mean_recall(true: Array, said: Array, weights: Weights) -> Values:
    recalls: Values = np.mean(
        [share(found, weights, among=rows) for rows, found in zip(true, said, strict=True)], axis=0
    )
    return recalls


def _kappas(true: Array, said: Array, weights: Weights) -> Values:
    """Return Cohen's kappa: the agreement beyond that of chance. true, said: (K, N)."""
    count = weights.sum(axis=1)
    agreed, both = ratio(weights @ (true & said).any(axis=0), count), zip(true, said, strict=True)
    by_chance = np.sum([ratio(weights @ part, count) * ratio(weights @ other, count) for part, other in both], axis=0)
    return 1 - ratio(1 - agreed, 1 - by_chance)


def _rates(ill: Array, predicted: Array, none_ill: str, all_ill: str) -> dict[str, Measure]:
    return {
        "sensitivity": share_measure(predicted, ill, none_ill),
        "specificity": share_measure(~predicted, ~ill, all_ill),
    }


def _no_value(weights: Weights) -> Values:
    return np.full(len(weights), np.nan)
