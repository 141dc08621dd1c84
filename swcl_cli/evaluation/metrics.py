"""The measures of the paper's tasks, and intervals around them. All are shares (0 to 1), not percent."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import cohen_kappa_score

from swcl_cli import chance

Array = NDArray[Any]


def auc(truth: ArrayLike, score: ArrayLike) -> float:
    """Exact area under the ROC curve (FACTS E8): the share of pairs that the score orders rightly, a tie being half.

    truth: (N,) 0 or 1; score: (N,). NaN where a class is absent. Equals scikit-learn's in a twentieth of the time at
    600 rows, which bootstraps need. Raises ValueError where a score is NaN.
    """
    truth, score = np.asarray(truth).astype(bool), np.asarray(score, np.float64)
    if np.isnan(score).any():
        raise ValueError("a score is NaN, so that it has no place among the others")
    if truth.all() or not truth.any():
        return float("nan")
    values, place = np.unique(score, return_inverse=True)
    positives, negatives = (np.bincount(place[rows], minlength=len(values)) for rows in (truth, ~truth))
    rightly = positives @ (np.cumsum(negatives) - negatives / 2)
    return float(rightly / (positives.sum() * negatives.sum()))


def stratified_auc(truth: ArrayLike, score: ArrayLike, stratum: ArrayLike) -> float:
    """The share of rightly ordered pairs, as `auc`, of pairs inside a stratum: (N,) each. NaN where there is none."""
    truth, score = np.asarray(truth).astype(bool), np.asarray(score, np.float64)
    rightly = pairs = 0.0
    for value in np.unique(np.asarray(stratum)):
        rows = np.asarray(stratum) == value
        count = float(truth[rows].sum()) * float((~truth[rows]).sum())
        if count:
            rightly, pairs = rightly + count * auc(truth[rows], score[rows]), pairs + count
    return rightly / pairs if pairs else float("nan")


def dice_per_image(truths: Sequence[Array], predictions: Sequence[Array]) -> NDArray[np.float64]:
    """2 TP / (2 TP + FP + FN) of each image (= its F1), of boolean masks (H, W). 1 where both masks are empty."""
    return np.array([_dice(truth, prediction) for truth, prediction in zip(truths, predictions, strict=True)])


def f1_vessels(
    truths: Sequence[Array], scores: Sequence[Array], fovs: Sequence[Array] | None = None
) -> dict[str, float]:
    """Vessel measures of a test set (FACTS E9). scores: (H, W) an image, probability of a vessel; above 0.5 is one.

    `f1`, the primary one, is the mean over images of the per-image Dice on the whole image. `f1_pooled`, `auc`,
    `sensitivity` and `specificity` are over the pixels of all images. With fovs, the same again inside the field
    of view, named `..._fov`.
    """
    measures = _vessel_measures(truths, scores)
    if fovs is not None:
        areas = [np.asarray(fov, bool) for fov in fovs]
        inside = [
            [np.asarray(image)[area] for image, area in zip(images, areas, strict=True)] for images in (truths, scores)
        ]
        measures |= {f"{name}_fov": value for name, value in _vessel_measures(*inside).items()}
    return measures


def joint_accuracy(truths: Mapping[str, Array], predictions: Mapping[str, Array]) -> float:
    """Share of images whose labels are all right (paper IV). Both: {label: (N,) classes}, with the same labels."""
    if truths.keys() != predictions.keys():
        raise ValueError(f"labels differ: {sorted(truths)} and {sorted(predictions)}")
    right = [np.asarray(truths[name]) == np.asarray(predictions[name]) for name in truths]
    return float(np.mean(np.logical_and.reduce(right)))


def quadratic_kappa(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Cohen's kappa with quadratic weights, of ordered grades (N,). NaN where only one grade occurs in both."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of the one grade, and of the 0 / 0 that it makes
        return float(cohen_kappa_score(truth, prediction, weights="quadratic"))


def bootstrap_interval(
    statistic: Callable[[NDArray[np.int64]], float],
    groups: ArrayLike,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of `statistic` when whole groups (patients) are drawn with replacement.

    statistic: row indices -> value; groups: (N,) the group of each row. Resamples in which the statistic is NaN
    (a class is absent) are left out; (NaN, NaN) where none is left, or there are no rows.
    """
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    if not len(codes):
        return float("nan"), float("nan")
    rows = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    draws = chance.generator(seed, "bootstrap").integers(len(sizes), size=(resamples, len(sizes)))
    values = np.array([statistic(rows[_spans(starts[drawn], sizes[drawn])]) for drawn in draws])
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _spans(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, ..., start + size - 1 of each span, one after the other."""
    before = np.cumsum(sizes) - sizes
    rows: NDArray[np.int64] = np.arange(sizes.sum()) + np.repeat(starts - before, sizes)
    return rows


def _vessel_measures(truths: Sequence[Array], scores: Sequence[Array]) -> dict[str, float]:
    predictions = [np.asarray(score) > 0.5 for score in scores]
    truth = np.concatenate([np.ravel(image).astype(bool) for image in truths])
    predicted = np.concatenate([np.ravel(image) for image in predictions])
    return {
        "f1": float(dice_per_image(truths, predictions).mean()),
        "f1_pooled": _dice(truth, predicted),
        "auc": auc(truth, np.concatenate([np.ravel(image) for image in scores])),
        "sensitivity": _share(predicted, truth),
        "specificity": _share(~predicted, ~truth),
    }


def _dice(truth: Array, prediction: Array) -> float:
    truth, prediction = np.asarray(truth, bool), np.asarray(prediction, bool)
    both = np.count_nonzero(truth) + np.count_nonzero(prediction)
    return 2 * np.count_nonzero(truth & prediction) / both if both else 1.0


def _share(of: NDArray[np.bool_], within: NDArray[np.bool_]) -> float:
    return float(of[within].mean()) if within.any() else float("nan")
