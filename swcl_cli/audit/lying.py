"""Judge how the eyes of a data set lie, by what is seen in the photographs, and by the names of all of a patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.audit.landmarks import POSES

SWAPPED = 0.015  # of patients have left and right exchanged in their names: as many as in EyePACS (FACTS 10)
MISNAMED = 0.003  # of photographs alone are named after the other eye
TURNED_ALONE = 0.02  # of photographs lie otherwise than the patient's others, which the same camera took
ROUNDS, BEFORE = (
    20,
    4.0,
)  # of the estimate of how many lie upside down; photographs that it begins with, half of them so
LEAST, MOST = 0.002, 0.998

SIDES = ("left", "right")


class Lying(NamedTuple):
    """Hold the chances (N,) that each eye lies upside down, and that it is a right one."""

    inverted: NDArray[np.float64]
    right: NDArray[np.float64]


def judged(poses: NDArray[np.floating[Any]], patients: Sequence[str], eyes: Sequence[str]) -> Lying:
    """Join what is seen with what names say. poses: (N, 4) log p; eyes: left, right or unknown, by name.

    A patient's eyes lie as one camera took them, and where names are wrong, both are exchanged. How many patients of
    the set lie upside down is estimated from the set itself: a photograph in which nothing is seen lies as most do.
    """
    seen = np.exp(poses.astype(np.float64))  # (N, 4)
    groups = list(pd.Series(range(len(patients))).groupby(np.asarray(patients, object), sort=True).indices.values())
    named = np.array([_by_name(eye) for eye in eyes])  # (N, 2 exchanged or not, 2 sides)
    # (N, 2 exchanged, 2 patient upside down, 4 poses): of a photograph, what is seen and named in each case
    side = np.array([SIDES.index(name) for name, _ in POSES])
    inverted = np.array([is_inverted for _, is_inverted in POSES])
    turned = np.where(inverted[None] == np.array([[False], [True]]), 1 - TURNED_ALONE, TURNED_ALONE)  # (2, 4)
    each = seen[:, None, None, :] * named[:, :, side][:, :, None, :] * turned[None, None]
    total = np.log(each.sum(axis=3))  # (N, 2, 2)
    patient = np.stack([total[rows].sum(axis=0) for rows in groups])  # (P, 2, 2)
    exchanged = np.log([1 - SWAPPED, SWAPPED])[None, :, None]
    share = 0.5
    for _ in range(ROUNDS):
        chance = _normal(patient + exchanged + np.log([1 - share, share])[None, None, :])
        expected = float(chance[:, :, 1].sum())
        share = float(np.clip((expected + BEFORE / 2) / (len(groups) + BEFORE), LEAST, MOST))
    of_photograph = np.empty((len(poses), 4))
    for rows, weights in zip(groups, _normal(patient + exchanged + np.log([1 - share, share])), strict=True):
        shares = each[rows] / each[rows].sum(axis=3, keepdims=True)
        of_photograph[rows] = (shares * weights[None, :, :, None]).sum(axis=(1, 2))
    return Lying(of_photograph[:, inverted].sum(axis=1), of_photograph[:, side == 1].sum(axis=1))


def _by_name(eye: str) -> NDArray[np.float64]:
    """Return the chances (2, 2) of the sides, where the patient's names are right, and where they are exchanged."""
    if eye not in SIDES:
        return np.full((2, 2), 0.5)
    sides = np.full(2, MISNAMED)
    sides[SIDES.index(eye)] = 1 - MISNAMED
    return np.stack([sides, sides[::-1]])


def _normal(log_chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make chances of logarithms (P, 2, 2), which sum to 1 for each patient."""
    chances = np.exp(log_chances - log_chances.max(axis=(1, 2), keepdims=True))
    return np.asarray(chances / chances.sum(axis=(1, 2), keepdims=True))
