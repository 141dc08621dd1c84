"""Define what a figure of the report is, and how all of them look, in light and dark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib import figure as matplotlib_figure

NARROWEST = 7.0  # inches: a narrower drawing would be enlarged to the width of the text, and its words with it
SIDE_BY_SIDE = 4  # more lines than these would hide each other in one panel
# Okabe and Ito's hues, which colour-blind readers tell apart, at 3 : 1 or more on white. Without their yellow, too
# light for lines, and a grey, which some can't tell from the violet.
COLOURS = ("#0063A8", "#B84600", "#00946C", "#CC77A8", "#C58800", "#3798DA")
BRIGHTER = {"#0063A8": "#2b7fc4", "#B84600": "#d55e00", "#C58800": "#e69f00", "#3798DA": "#56b4e9"}  # on dark paper
NORMAL, ABNORMAL = "#00B386", "#E8000B"  # of greens and reds, a pair that colour-blind readers tell apart
HIT, FALSE_ALARM, MISS = (240, 228, 66), (213, 94, 0), (86, 180, 233)


@dataclass(frozen=True)
class Theme:
    paper: str
    ink: str
    faint: str


LIGHT = Theme(paper="#ffffff", ink="#1b1f24", faint="#d5dae0")
DARK = Theme(paper="#161a1f", ink="#e4e8ec", faint="#3a424b")
Drawing = matplotlib_figure.Figure  # what matplotlib draws on; `Figure` is one of the report
Draw = Callable[[Theme], Drawing]


@dataclass(frozen=True)
class Figure:
    """A figure of the report. alt: what is to be seen, in words; sentence: what it shows; photographic: embedded as
    pixels, where others are as lines.
    """

    name: str
    title: str
    sentence: str
    alt: str
    draw: Draw
    photographic: bool = False


def new_drawing(theme: Theme, width: float, height: float) -> Drawing:
    """Make a drawing, in inches; constrained, so that no label is cut off or laid over another."""
    return Drawing(figsize=(width, height), facecolor=theme.paper, layout="constrained")


def settings(theme: Theme) -> Any:
    return {
        "svg.hashsalt": "swcl",
        "svg.fonttype": "none",  # text stays text
        "pdf.fonttype": 42,
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.facecolor": theme.paper,
        "axes.edgecolor": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": False,
        "grid.color": theme.faint,
        "text.color": theme.ink,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "savefig.facecolor": theme.paper,
        "figure.constrained_layout.h_pad": 0.08,
        "figure.constrained_layout.w_pad": 0.08,
    }
