"""How figures look, and how one becomes bytes: the same bytes each time, in light and dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

DPI = 150
# Okabe and Ito's, which colour-blind readers tell apart; without its yellow, too light for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
BRIGHTER = {"#0072B2": "#4a9fe0", "#009E73": "#1fbf91"}  # on dark paper
NORMAL, ABNORMAL = "#00B386", "#E8000B"  # of greens and reds, a pair that colour-blind readers tell apart
HIT, FALSE_ALARM, MISS = (240, 228, 66), (213, 94, 0), (86, 180, 233)


@dataclass(frozen=True)
class Theme:
    paper: str
    ink: str
    faint: str


LIGHT = Theme(paper="#ffffff", ink="#1b1f24", faint="#d5dae0")
DARK = Theme(paper="#161a1f", ink="#e4e8ec", faint="#3a424b")
Draw = Callable[[Theme], Figure]


@dataclass(frozen=True)
class Picture:
    """A figure of the report. `alt` says in words what is to be seen, `sentence` what it shows; `photographic` ones are
    embedded as pixels, charts as lines.
    """

    name: str
    title: str
    sentence: str
    alt: str
    draw: Draw
    photographic: bool = False


@dataclass(frozen=True)
class Rendered:
    """A drawn figure: the files for the folder, and the two data URIs for the page."""

    picture: Picture
    png: bytes
    svg: bytes
    light: str
    dark: str
    size: tuple[int, int]


def new_figure(theme: Theme, width: float, height: float) -> Figure:
    """In inches; constrained, so that no label is cut off or laid over another."""
    return Figure(figsize=(width, height), facecolor=theme.paper, layout="constrained")


def render(picture: Picture) -> Rendered:
    """Draws it; a chart's dark form is its light one in other colours. Text is never taken as mathematics."""
    png, svg = _bytes(picture, LIGHT)
    size = Image.open(io.BytesIO(png)).size
    if picture.photographic:
        dark, _ = _bytes(picture, DARK)
        uris = [f"data:image/webp;base64,{_base64(_webp(data))}" for data in (png, dark)]
    else:
        uris = [f"data:image/svg+xml;base64,{_base64(lines)}" for lines in (svg, _darkened(svg))]
    return Rendered(picture, png, svg, uris[0], uris[1], size)


def _bytes(picture: Picture, theme: Theme) -> tuple[bytes, bytes]:
    with mpl.rc_context(_settings(theme)):
        figure = picture.draw(theme)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once; both files take it
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue()


def _darkened(svg: bytes) -> bytes:
    changes = [(getattr(LIGHT, name), getattr(DARK, name)) for name in ("paper", "ink", "faint")]
    for light, dark in [*changes, *BRIGHTER.items()]:
        svg = svg.replace(light.lower().encode(), dark.encode())
    return svg


def _settings(theme: Theme) -> Any:
    return {
        "svg.hashsalt": "swcl",
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


def _webp(png: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, format="webp", quality=88, method=4)
    return out.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
