"""Judge how well lesion scores of patches find real lesions, where masks of the lesions are known."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from swcl_cli.data import manifest
from swcl_cli.evaluation.intervals import interval
from swcl_cli.evaluation.metrics import auc, stratified_auc
from swcl_cli.evaluation.resampling import Measure
from swcl_cli.swap.lesion_masks import read_patch_lesions
from swcl_cli.swap.weak_labels import is_abnormal, label_ids
from swcl_cli.workspace import Workspace

Interval = tuple[float, float]


@dataclass(frozen=True)
class PatchScores:
    """Hold how well lesion scores detect lesions: AUCs, with 95 % intervals over patients, and F1.

    `threshold` has the best F1, which is `f1`; `f1_chosen` is that of the chosen threshold.

    `auc` counts all patches. Photographs known as normal score 0 by rule (FACTS A4), below all others, so it rises
    with their share, whatever the labeler has learnt; of unlabelled photographs it is the labeler's own.

    `within_abnormal` counts only patches of abnormal photographs: knowing which photographs are abnormal does not help.
    `in_place` counts of these only pairs of the same position: knowing that corners hold fewer lesions, and score lower
    for their background, does not help either, so that chance is exactly 0.5.
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
    f1_chosen: float
    by_kind_interval: dict[str, Interval] = field(default_factory=dict)
    by_position_interval: dict[str, Interval] = field(default_factory=dict)


def judge(workspace: Workspace, patches: pa.Table, names: Sequence[str], threshold: float) -> dict[str, Any] | None:
    """Judge the scores of all patches whose photograph has a lesion mask; None where no photograph has a mask."""
    columns = ["path", "lesion_mask_path", "width", "height", "group_id"]
    masks = pd.concat([manifest.read(workspace.manifest(name), columns=columns) for name in names])
    masks = masks.dropna(subset=["lesion_mask_path"])
    if not len(masks):
        return None
    columns = ["dataset", "position", "path", "x", "y", "size", "score"]
    frame = patches.select(columns).to_pandas(types_mapper=pd.ArrowDtype).merge(masks, on="path")
    return asdict(judge_rows(frame, read_patch_lesions(workspace.root, frame), threshold))


def judge_rows(frame: pd.DataFrame, lesions: pd.DataFrame, threshold: float, parts: bool = False) -> PatchScores:
    """Judge the scores of rows of patches: `lesions` says which kinds of lesion each holds.

    frame: columns dataset, group_id, path, position, score. parts: kinds and positions have intervals, too.
    """
    truth = lesions.any(axis=1).to_numpy()
    return judge_patch_scores(
        truth,
        frame["score"].to_numpy(np.float32),
        pd.Series(truth).groupby(frame["path"].to_numpy()).transform("any").to_numpy(dtype=bool),
        {kind: lesions[kind].to_numpy() for kind in lesions},
        frame["position"].to_numpy(dtype=str),
        label_ids(frame, ["dataset", "group_id"]),
        threshold=threshold,
        parts=parts,
    )


def counted(judgement: Mapping[str, Any]) -> str:
    """Say how many photographs and patches a judgement counts, which were left out, and whether any trained."""
    parts = ", ".join(f"{number:,} {reason}" for reason, number in judgement["left_out"].items())
    seen = ", ".join(judgement["seen"])
    return (
        f"{judgement['photographs']:,} photographs, {judgement['patches']:,} patches, of which "
        f"{judgement['with_lesions']:,} hold lesions{f'; left out: {parts}' if parts else ''}."
        f"{f' The labeler was trained on photographs of {seen}, some of which are these.' if seen else ''}"
    )


def judge_patch_scores(
    truth: ArrayLike,
    scores: ArrayLike,
    image_abnormal: ArrayLike,
    kinds: Mapping[str, ArrayLike],
    positions: ArrayLike,
    patients: ArrayLike,
    threshold: float,
    parts: bool = False,
) -> PatchScores:
    """Compare scores of patches with the lesions in them. All arrays (N,), a value for each patch.

    truth: whether the patch holds a lesion; kinds: for each kind of lesion, whether it holds that kind; threshold: the
    threshold of the labels. `by_kind` sets patches with that kind against patches without any lesion, at any position.
    NaN where a class is absent. parts: kinds and positions have intervals, too.
    """
    lesion, score = np.asarray(truth, bool), np.asarray(scores, np.float64)
    inside = np.flatnonzero(np.asarray(image_abnormal, bool))
    patient, (places, place) = np.asarray(patients), np.unique(np.asarray(positions), return_inverse=True)
    of_kind = {kind: np.flatnonzero(np.asarray(present, bool) | ~lesion) for kind, present in kinds.items()}
    of_place = {str(name): np.flatnonzero(place == number) for number, name in enumerate(places)}
    best, f1 = best_threshold(lesion, score)
    anywhere = np.zeros(len(score), np.int64)

    def around(rows: NDArray[np.int64], stratum: NDArray[np.int64] = anywhere) -> Interval:
        return interval(stratified_measure(lesion[rows], score[rows], stratum[rows]), patient[rows])

    def aucs(rows_of: Mapping[str, NDArray[np.int64]]) -> dict[str, float]:
        return {name: auc(lesion[rows], score[rows]) for name, rows in rows_of.items()}

    return PatchScores(
        auc=auc(lesion, score),
        auc_interval=around(np.arange(len(score))),
        within_abnormal=auc(lesion[inside], score[inside]),
        within_abnormal_interval=around(inside),
        in_place=stratified_auc(lesion[inside], score[inside], place[inside]),
        in_place_interval=around(inside, place),
        by_kind=aucs(of_kind),
        by_position=aucs(of_place),
        threshold=best,
        f1=f1,
        f1_chosen=f1_at(threshold, lesion, np.asarray(scores, np.float32)),
        by_kind_interval={kind: around(rows) for kind, rows in of_kind.items()} if parts else {},
        by_position_interval={name: around(rows) for name, rows in of_place.items()} if parts else {},
    )


def stratified_measure(truth: NDArray[np.bool_], score: NDArray[np.float64], stratum: NDArray[np.int64]) -> Measure:
    """Define `stratified_auc` as a measure of rows that count several times or not: (N,) each, strata from 0.

    Scores are sorted only once: there may be half a million patches.
    """
    _, place = np.unique(score, return_inverse=True)
    width = int(place.max(initial=0)) + 1
    key = stratum * width + place
    order = np.argsort(key, kind="stable")
    positive, negative = order[truth[order]], order[~truth[order]]
    start, own = stratum[positive] * width, key[negative]
    first, last = np.searchsorted(own, start), np.searchsorted(own, start + width)
    below, upto = np.searchsorted(own, key[positive]), np.searchsorted(own, key[positive], "right")

    def of_row(weights: NDArray[np.float64]) -> float:
        weight, other = weights[positive], np.append(0, np.cumsum(weights[negative]))
        pairs = float(weight @ (other[last] - other[first]))
        rightly = float(weight @ (other[below] + other[upto] - 2 * other[first])) / 2
        return rightly / pairs if pairs else float("nan")

    return Measure(lambda weights: np.array([of_row(row) for row in weights]), parts=(truth, ~truth), of_pairs=True)


def f1_at(threshold: float, truth: NDArray[np.bool_], score: NDArray[np.float32]) -> float:
    """Return the F1 of `score >= threshold`, compared as labels are. NaN without a true patch."""
    predicted = is_abnormal(score, threshold)
    return float(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum())) if truth.any() else float("nan")


def best_threshold(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[float, float]:
    """Return (t, F1) where `score >= t` has the highest F1; of equals the highest t. NaN without a true patch."""
    if not truth.any():
        return float("nan"), float("nan")
    order = np.argsort(-score, kind="stable")
    descending, hits = score[order], np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(score) + 1) + truth.sum())
    f1[:-1][descending[:-1] == descending[1:]] = -1  # a threshold selects all patches of an equal score
    best = int(f1.argmax())
    return float(descending[best]), float(f1[best])
