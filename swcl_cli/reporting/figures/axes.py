"""Draw parts of figures that several share: a line at chance, an axis of steps, the square of percentages."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from swcl_cli.reporting.figures.style import Theme

BESIDE: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1)}  # where a legend covers nothing


def chance_line(axes: Axes, height: float, theme: Theme) -> None:
    axes.axhline(height, color=theme.ink, linestyle=":", linewidth=1)
    axes.annotate("chance", (0, height), (4, 3), xycoords=("axes fraction", "data"), textcoords="offset points")


def count_steps(axes: Axes, ticks: int = 6) -> None:
    """Write whole numbers along the x axis, with commas."""
    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def percent_square(axes: Axes, theme: Theme, margin: float) -> None:
    """Draw both axes from 0 to 100, with the diagonal."""
    axes.plot([0, 100], [0, 100], ":", color=theme.ink, linewidth=1)
    axes.set_xlim(-margin, 100 + margin)
    axes.set_ylim(-margin, 100 + margin)
    axes.grid()
