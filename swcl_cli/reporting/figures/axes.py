"""Draw parts of figures that several share: a line at chance, an axis of steps, the square of percentages."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from swcl_cli.reporting.figures.strokes import Stroke
from swcl_cli.reporting.figures.style import Theme

Numbers = NDArray[np.float64]

BESIDE: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1)}  # where a legend covers nothing


def chance_line(axes: Axes, height: float, theme: Theme) -> None:
    """Draw the line at chance, which the legend names, or where there is none, words beside the panel."""
    axes.axhline(height, color=theme.ink, linestyle=":", linewidth=1, label="chance")


def beside_line(axes: Axes, height: float, words: str) -> None:
    """Write words on the right of the panel, where no line runs."""
    place: Any = ("axes fraction", "data")
    axes.annotate(words, (1, height), (4, 0), xycoords=place, textcoords="offset points", va="center")


def band(axes: Axes, x: Numbers, low: Numbers, high: Numbers, stroke: Stroke) -> None:
    """Draw what lies between two lines; of a single point a bar, since a band would have no width."""
    if len(x) == 1:
        axes.vlines(x, low, high, color=stroke.colour, alpha=0.6, linewidth=1.5)
        axes.plot(np.repeat(x, 2), [low[0], high[0]], "_", color=stroke.colour, alpha=0.6, markersize=7)
    else:
        axes.fill_between(x, low, high, color=stroke.colour, alpha=0.15, linewidth=0)


def count_steps(axes: Axes, ticks: int = 6) -> None:
    """Write whole numbers along the x axis, with commas."""
    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def percent_square(axes: Axes, theme: Theme, margin: float, diagonal: str | None = None) -> None:
    """Draw both axes from 0 to 100, with the diagonal. diagonal: what a legend calls it."""
    axes.plot([0, 100], [0, 100], ":", color=theme.ink, linewidth=1, label=diagonal)
    axes.set_xlim(-margin, 100 + margin)
    axes.set_ylim(-margin, 100 + margin)
    axes.grid()
