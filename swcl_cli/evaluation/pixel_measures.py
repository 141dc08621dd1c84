"""Measure segmented photographs by counts of pixels alone (FACTS E9, E10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swcl_cli.evaluation.pixel_tally import Histograms
from swcl_cli.evaluation.resampling import Measure, Values, Weights, counted_auc, ratio, share, share_measure

Counts = NDArray[np.int64]  # (N,), a number for each image
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """Count the true and false, positive and negative pixels of each image."""

    true_positives: Counts
    false_positives: Counts
    false_negatives: Counts
    true_negatives: Counts

    @classmethod
    def of(cls, histograms: Histograms) -> Outcomes:
        """Count the pixels of histograms, with log odds above 0 as positive."""
        predicted, positive, negative = histograms.predicted, histograms.positive, histograms.negative
        cells = ((predicted, positive), (predicted, negative), (~predicted, positive), (~predicted, negative))
        return cls(*(pixels[:, bins].sum(axis=1) for bins, pixels in cells))

    @property
    def f1(self) -> Numbers:
        """Return 2 TP / (2 TP + FP + FN) of each image, its Dice; 1 where neither mask nor answer has any pixel."""
        return _f1(self.true_positives, self.false_positives, self.false_negatives)


def pixel_measures(structures: Mapping[str, tuple[Histograms, float]], suffix: str = "") -> dict[str, Measure]:
    """Define the measures of each structure. Where there are several, names begin with the structure's name.

    structures: the histograms of a structure's pixels, and the exact AUC over all of them. `f1` is the mean over images
    of F1; `f1_pooled`, `auc`, `sensitivity` and `specificity` are over the pixels of all images. Of several structures
    `f1` and `f1_pooled` are the means over them.
    """
    by_structure = {structure: _of_structure(structure, *pixels) for structure, pixels in structures.items()}
    if len(by_structure) == 1:
        (measures,) = by_structure.values()
        return {f"{name}{suffix}": measure for name, measure in measures.items()}
    joined = {
        name: Measure(partial(_mean, [measures[name].of for measures in by_structure.values()]))
        for name in ("f1", "f1_pooled")
    }
    for structure, measures in by_structure.items():
        joined |= {f"{structure}_{name}": measure for name, measure in measures.items()}
    return {f"{name}{suffix}": measure for name, measure in joined.items()}


def ratio_error(truth: ArrayLike, predicted: ArrayLike, outer: str) -> Measure:
    """Define the mean over images of |predicted - truth| of ratios (N,).

    Images whose mask holds no `outer`, so that the true ratio is NaN, are left out.
    """
    error = np.abs(np.asarray(predicted, np.float64) - np.asarray(truth, np.float64))
    known = ~np.isnan(error)
    largest = float(max(1.0, error[known].max(initial=0.0)))  # a ratio is a share, unless `inner` is taken for larger
    return replace(share_measure(error, known, f"no mask holds any {outer}"), highest=largest)


def diameter_ratio(inner: NDArray[np.bool_], outer: NDArray[np.bool_]) -> float:
    """Divide the vertical diameter of `inner` by that of `outer`, masks (H, W). NaN where there is no `outer`.

    A diameter is the largest number of pixels in a column, as in the REFUGE challenge (Orlando et al. 2020).
    """
    part, whole = (int(np.count_nonzero(mask, axis=0).max(initial=0)) for mask in (inner, outer))
    return part / whole if whole else float("nan")


def _of_structure(name: str, histograms: Histograms, exact_auc: float) -> dict[str, Measure]:
    pixels = Outcomes.of(histograms)
    positive, negative = histograms.positive.astype(np.float64), histograms.negative.astype(np.float64)
    off = exact_auc - float(_auc(positive, negative, np.ones((1, len(positive))))[0])
    nowhere, everywhere = f"no pixel is {name}", f"every pixel is {name}"
    return {
        "f1": Measure(partial(share, pixels.f1)),
        "f1_pooled": Measure(
            lambda weights: _f1(
                weights @ pixels.true_positives, weights @ pixels.false_positives, weights @ pixels.false_negatives
            )
        ),
        "auc": Measure(
            lambda weights: _auc(positive, negative, weights) + off, everywhere if positive.any() else nowhere
        ),
        "sensitivity": Measure(partial(_rate, pixels.true_positives, pixels.false_negatives), nowhere),
        "specificity": Measure(partial(_rate, pixels.true_negatives, pixels.false_positives), everywhere),
    }


def _mean(measures: Sequence[Callable[[Weights], Values]], weights: Weights) -> Values:
    mean: Values = np.mean([measure(weights) for measure in measures], axis=0)
    return mean


def _auc(positive: Numbers, negative: Numbers, weights: Weights) -> Values:
    return counted_auc(weights @ positive, weights @ negative)


def _rate(right: Counts, wrong: Counts, weights: Weights) -> Values:
    return ratio(weights @ right, weights @ (right + wrong))


def _f1(
    true_positives: NDArray[np.generic], false_positives: NDArray[np.generic], false_negatives: NDArray[np.generic]
) -> Numbers:
    whole = 2 * true_positives + false_positives + false_negatives  # type: ignore[operator]
    return np.where(whole > 0, 2 * true_positives / np.maximum(whole, 1), 1.0)  # type: ignore[operator]
