"""How well lesion scores of patches find real lesions, where a mask of the lesions is known."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swcl_cli.evaluation.metrics import auc, bootstrap_interval, stratified_auc

Interval = tuple[float, float]


@dataclass(frozen=True)
class PatchScores:
    """AUCs of the lesion score as a detector of lesions, 95 % intervals over patients, and the best threshold.

    `within_abnormal` counts only patches of abnormal images: knowing which images are abnormal earns nothing there.
    `in_place` counts of these only pairs of the same position: knowing that corners hold fewer lesions, and score lower
    for their background, earns nothing either, so that chance is exactly 0.5.
    """

    auc: float
    auc_interval: Interval
    within_abnormal: float
    within_abnormal_interval: Interval
    in_place: float
    in_place_interval: Interval
    by_kind: dict[str, float]
    by_position: dict[str, float]
    threshold: float
    f1: float


def judge_patch_scores(
    truth: ArrayLike,
    scores: ArrayLike,
    image_abnormal: ArrayLike,
    kinds: Mapping[str, ArrayLike],
    positions: ArrayLike,
    patients: ArrayLike,
    seed: int,
) -> PatchScores:
    """All arrays (N,), a patch each. truth: holds a lesion; kinds: {kind of lesion: holds one of that kind}.

    `by_kind` sets patches with that kind against patches without any lesion, at any position. NaN where a class is
    absent.
    """
    lesion, score = np.asarray(truth, bool), np.asarray(scores, np.float64)
    inside = np.flatnonzero(np.asarray(image_abnormal, bool))
    position, patient = np.asarray(positions), np.asarray(patients)
    of_kind = {kind: np.asarray(held, bool) for kind, held in kinds.items()}
    threshold, f1 = best_threshold(lesion, score)

    def within(rows: NDArray[np.int64]) -> float:
        return auc(lesion[inside[rows]], score[inside[rows]])

    def in_place(rows: NDArray[np.int64]) -> float:
        drawn = inside[rows]
        return stratified_auc(lesion[drawn], score[drawn], position[drawn])

    return PatchScores(
        auc=auc(lesion, score),
        auc_interval=bootstrap_interval(lambda rows: auc(lesion[rows], score[rows]), patient, seed),
        within_abnormal=within(np.arange(len(inside))),
        within_abnormal_interval=bootstrap_interval(within, patient[inside], seed),
        in_place=in_place(np.arange(len(inside))),
        in_place_interval=bootstrap_interval(in_place, patient[inside], seed),
        by_kind={kind: auc(held[held | ~lesion], score[held | ~lesion]) for kind, held in of_kind.items()},
        by_position={
            str(place): auc(lesion[position == place], score[position == place]) for place in np.unique(position)
        },
        threshold=threshold,
        f1=f1,
    )


def best_threshold(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[float, float]:
    """(t, F1) where `score >= t` has the highest F1; of equals the highest t. (NaN, NaN) without a true patch."""
    if not truth.any():
        return float("nan"), float("nan")
    order = np.argsort(-score, kind="stable")
    descending, hits = score[order], np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(score) + 1) + truth.sum())
    f1[:-1][descending[:-1] == descending[1:]] = -1  # a threshold takes all of its equals
    best = int(f1.argmax())
    return float(descending[best]), float(f1[best])
