"""Draw what was logged at each step, and its running mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from swcl_cli.reporting.figures.axes import count_steps
from swcl_cli.reporting.figures.strokes import Stroke
from swcl_cli.reporting.figures.thinning import Line, thinned

SMOOTHED_SHARE = 50  # a fiftieth of the steps is averaged


def draw_smoothed(
    axes: Axes, log: pd.DataFrame, column: str, stroke: Stroke, name: str | None = None, single: bool = True,
    alone: bool = False,
) -> None:  # fmt: skip
    """Draw the running mean and, behind it, each step's single value as a faint line. alone: no other line is there, so
    that it needs no markers.
    """
    step, value = course(log, column)
    if single:
        axes.plot(*thinned(step, value), color=stroke.colour, alpha=0.25, linewidth=0.8)
    smooth = thinned(step, running_mean(value))
    look = stroke.line if alone and len(smooth[0]) > 1 else stroke.marked(len(smooth[0]))
    axes.plot(*smooth, **look, linewidth=1.6, label=name)
    count_steps(axes)


def is_logged(log: pd.DataFrame, column: str) -> bool:
    return column in log and bool(log[column].notna().any())


def course(log: pd.DataFrame, column: str) -> Line:
    """Return steps done, and what was measured after each of them; no points where the log has no such column."""
    if column not in log:
        return np.empty(0), np.empty(0)
    records = log[log[column].notna()]
    return records["step"].to_numpy(dtype=np.float64) + 1, records[column].to_numpy(dtype=np.float64)


def running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the last fiftieth of the values up to each one, (N,) -> (N,)."""
    if not len(values):
        return values
    window = max(len(values) // SMOOTHED_SHARE, 1)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    means: NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return means
