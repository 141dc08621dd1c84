"""Turn figures into bytes: the same bytes each time, in light and dark."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.image import AxesImage
from PIL import Image

from swcl_cli.reporting.figures.style import BRIGHTER, DARK, LIGHT, Drawing, Figure, Theme, settings
from swcl_cli.reporting.figures.texts import reword

DPI = 150
UNDATED = {"Date": None, "Creator": None}
COMMENT = re.compile(rb"<!--.*?-->", flags=re.DOTALL)  # matplotlib writes each text beside its outlines
FINER = re.compile(rb"(?<!scale\()(?<![\d.])(\d+\.\d\d)\d+")  # scales are products, and keep all digits
BREAK = re.compile(rb"\s*\n\s*")


@dataclass(frozen=True)
class Rendered:
    """Hold a drawn figure: the files for the folder, and the two data URIs for the page."""

    figure: Figure
    png: bytes
    svg: bytes
    light: str
    dark: str
    size: tuple[int, int]


def render(figure: Figure, named: Callable[[str], str] | None = None) -> Rendered:
    """Draw a figure; the dark form of lines is their light one in other colours. Text is never taken as mathematics,
    and `named` is applied to it.
    """
    png, svg = _bytes(figure, LIGHT, named)
    size = Image.open(io.BytesIO(png)).size
    if figure.photographic:
        dark, _ = _bytes(figure, DARK, named, with_svg=False)
        uris = [f"data:image/webp;base64,{_base64(_webp(data))}" for data in (png, dark)]
    else:
        uris = [f"data:image/svg+xml;base64,{_base64(lines)}" for lines in (svg, _darkened(svg))]
    return Rendered(figure, png, svg, uris[0], uris[1], size)


def _bytes(
    figure: Figure, theme: Theme, named: Callable[[str], str] | None, with_svg: bool = True
) -> tuple[bytes, bytes]:
    with mpl.rc_context(settings(theme)):
        drawing = figure.draw(theme)
        reword(drawing, named)
        canvas = FigureCanvasAgg(drawing)
        drawing.set_dpi(DPI)
        _lay_out(drawing)
        png, svg = io.BytesIO(), io.BytesIO()
        # Figure.savefig would lay out, hence draw, each file once more
        canvas.print_png(png, metadata={"Software": None})
        if with_svg:
            FigureCanvasSVG(drawing).print_svg(svg, metadata=UNDATED)
    return png.getvalue(), slim(svg.getvalue())


def _lay_out(drawing: Drawing) -> None:
    """Finds the places of all parts, once for both files. Images take the room that their axes have: to scale them
    for nothing would cost as much time as to draw them.
    """
    images = drawing.findobj(AxesImage)
    for image in images:
        image.set_visible(False)
    drawing.draw_without_rendering()
    drawing.set_layout_engine("none")
    for image in images:
        image.set_visible(True)


def slim(svg: bytes) -> bytes:
    """Write the same drawing to a hundredth of a point, without indents and remarks: a quarter smaller."""
    return BREAK.sub(b"\n", FINER.sub(rb"\1", COMMENT.sub(b"", svg)))


def _darkened(svg: bytes) -> bytes:
    changes = [(getattr(LIGHT, name), getattr(DARK, name)) for name in ("paper", "ink", "faint")]
    for light, dark in [*changes, *BRIGHTER.items()]:
        svg = svg.replace(light.lower().encode(), dark.encode())
    return svg


def _webp(png: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, format="webp", quality=80, method=4)
    return out.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
