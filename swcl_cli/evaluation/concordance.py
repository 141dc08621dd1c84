"""Measure how often scores order pairs of rows as amounts do, within strata."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swcl_cli.evaluation.resampling import Measure, Values, Weights, ratio


def concordance_measure(amount: ArrayLike, score: ArrayLike, stratum: ArrayLike) -> Measure:
    """Define the share of pairs in one stratum of which the row with more has the higher score (Harrell's C).

    Equal scores are half right; pairs of equal amounts don't count; NaN where no pair is left. All arrays (N,). With
    two amounts alone it is the area under the ROC curve. Memory grows with the square of the largest stratum.
    """
    amounts, scores = np.asarray(amount, np.float64), np.asarray(score, np.float64)
    strata: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]] = []
    for value in np.unique(np.asarray(stratum)):
        rows = np.flatnonzero(np.asarray(stratum) == value)
        more = amounts[rows, None] > amounts[rows]  # (n, n), once for each pair
        higher, equal = scores[rows, None] > scores[rows], scores[rows, None] == scores[rows]
        strata.append((rows, more.astype(np.float32), (more * (higher + equal / 2)).astype(np.float32)))

    def of(weights: Weights) -> Values:
        rightly, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for rows, more, right in strata:
            count = weights[:, rows]
            pairs += ((count @ more) * count).sum(axis=1)
            rightly += ((count @ right) * count).sum(axis=1)
        return ratio(rightly, pairs)

    return Measure(of)
