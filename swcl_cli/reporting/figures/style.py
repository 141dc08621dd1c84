"""How figures look, and how one becomes bytes: the same bytes each time, in light and dark."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from swcl_cli.reporting.figures.texts import reword

DPI = 150
UNDATED = {"Date": None, "Creator": None}
COMMENT = re.compile(rb"<!--.*?-->", flags=re.DOTALL)  # matplotlib writes each text beside its outlines
FINER = re.compile(rb"(?<!scale\()(?<![\d.])(\d+\.\d\d)\d+")  # scales are products, and keep all digits
BREAK = re.compile(rb"\s*\n\s*")
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


def render(picture: Picture, named: Callable[[str], str] | None = None) -> Rendered:
    """Draws it; a chart's dark form is its light one in other colours. Text is never taken as mathematics, and `named`
    is applied to it.
    """
    png, svg = _bytes(picture, LIGHT, named)
    size = Image.open(io.BytesIO(png)).size
    if picture.photographic:
        dark, _ = _bytes(picture, DARK, named, with_svg=False)
        uris = [f"data:image/webp;base64,{_base64(_webp(data))}" for data in (png, dark)]
    else:
        uris = [f"data:image/svg+xml;base64,{_base64(lines)}" for lines in (svg, _darkened(svg))]
    return Rendered(picture, png, svg, uris[0], uris[1], size)


def _bytes(
    picture: Picture, theme: Theme, named: Callable[[str], str] | None, with_svg: bool = True
) -> tuple[bytes, bytes]:
    with mpl.rc_context(_settings(theme)):
        figure = picture.draw(theme)
        reword(figure, named)
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(DPI)
        _lay_out(figure)
        png, svg = io.BytesIO(), io.BytesIO()
        # Figure.savefig would lay out, hence draw, each file once more
        canvas.print_png(png, metadata={"Software": None})  # type: ignore[no-untyped-call]
        if with_svg:
            FigureCanvasSVG(figure).print_svg(svg, metadata=UNDATED)  # type: ignore[no-untyped-call]
    return png.getvalue(), slim(svg.getvalue())


def _lay_out(figure: Figure) -> None:
    """Once for both files. Pictures take the room that their axes have: to scale them for nothing would cost as much
    time as to draw them.
    """
    pictures = figure.findobj(AxesImage)
    for picture in pictures:
        picture.set_visible(False)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for picture in pictures:
        picture.set_visible(True)


def slim(svg: bytes) -> bytes:
    """The same drawing to a hundredth of a point, without indents and remarks: a quarter smaller."""
    return BREAK.sub(b"\n", FINER.sub(rb"\1", COMMENT.sub(b"", svg)))


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
    Image.open(io.BytesIO(png)).convert("RGB").save(out, format="webp", quality=80, method=4)
    return out.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
