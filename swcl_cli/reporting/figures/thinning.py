"""Draw the same line with fewer points, since what a figure can't show would only weigh on the page."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Line = tuple[NDArray[np.float64], NDArray[np.float64]]  # x and y, (N,) each

MOST_POINTS = 400  # more than a figure's columns of pixels can tell apart
MOST_CORNERS = 200


def thinned(x: NDArray[np.float64], y: NDArray[np.float64], most: int = MOST_POINTS) -> Line:
    """Keep at most `most` points, in their order: the ends, and the lowest and highest of each stretch of the line.

    x, y: (N,). No peak is lost, as would be by taking every k-th point.
    """
    if len(x) <= most:
        return x, y
    edges = np.linspace(1, len(x) - 1, (most - 2) // 2 + 1).astype(np.int64)
    stretches = [slice(start, stop) for start, stop in pairwise(edges)]
    lowest = [part.start + int(np.argmin(y[part])) for part in stretches]
    highest = [part.start + int(np.argmax(y[part])) for part in stretches]
    kept = np.unique([0, *lowest, *highest, len(x) - 1])
    return x[kept], y[kept]


def corners(x: NDArray[np.float64], y: NDArray[np.float64], most: int = MOST_CORNERS) -> Line:
    """Drop the points on the straight parts of a rising line: the same line. (N,) each, neither of them ever falls.

    Where more than `most` corners are left, that many, evenly along the line: off by no more than 2 / most.
    """
    moved = np.concatenate([[True], (np.diff(x) > 0) | (np.diff(y) > 0)])
    x, y = x[moved], y[moved]
    across, up = np.diff(x), np.diff(y)
    turns = np.abs(across[:-1] * up[1:] - across[1:] * up[:-1]) > 1e-12
    kept = np.concatenate([[True], turns, [True]])[: len(x)]
    x, y = x[kept], y[kept]
    if len(x) > most:
        along = x + y
        places = np.unique(np.searchsorted(along, np.linspace(along[0], along[-1], most)))
        x, y = x[places], y[places]
    return x, y
