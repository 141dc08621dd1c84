"""Turn figures into bytes: the same bytes each time, in light and dark."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.image import AxesImage
from PIL import Image

from swcl_cli.reporting.figures.style import BRIGHTER, DARK, LIGHT, Drawing, Figure, Theme, settings
from swcl_cli.reporting.figures.texts import reword

SCREEN, PRINT = 150, 300  # dots per inch, on the page and in files
UNDATED = {"Date": None, "Creator": None}
UNSIGNED = {"CreationDate": None, "Creator": None, "Producer": None}
FONT = b"font-family: 'DejaVu Sans'"
FALLBACKS = FONT + b", Verdana, Helvetica, Arial, sans-serif"  # as wide as the first, or narrower: nothing collides
COMMENT = re.compile(rb"<!--.*?-->", flags=re.DOTALL)  # matplotlib writes each text beside its outlines
FINER = re.compile(rb"(?<!scale\()(?<![\d.])(\d+\.\d\d)\d+")  # scales are products, and keep all digits
BREAK = re.compile(rb"\s*\n\s*")


@dataclass(frozen=True)
class Rendered:
    """Hold a drawn figure: the files for the folder, and the two data URIs for the page."""

    figure: Figure
    png: bytes
    svg: bytes
    pdf: bytes
    light: str
    dark: str
    size: tuple[int, int]


def render(figure: Figure, named: Callable[[str], str] | None = None) -> Rendered:
    """Draw a figure; the dark form of lines is their light one in other colours. Text is never taken as mathematics,
    and `named` is applied to it.
    """
    with mpl.rc_context(settings(LIGHT)):
        drawing = _drawn(figure, LIGHT, named, PRINT)
        pixels, svg, pdf = _pixels(drawing), io.BytesIO(), io.BytesIO()
        for image in drawing.findobj(AxesImage):
            image.set_interpolation("none")  # the photograph's own pixels, not those of a screen
        FigureCanvasPdf(drawing).print_pdf(pdf, metadata=UNSIGNED)
        FigureCanvasSVG(drawing).print_svg(svg, metadata=UNDATED)
    lines = slim(svg.getvalue())
    small = pixels.reduce(PRINT // SCREEN)
    if figure.photographic:
        with mpl.rc_context(settings(DARK)):
            dark = _pixels(_drawn(figure, DARK, named, SCREEN))
        uris = [f"data:image/webp;base64,{_base64(_webp(image))}" for image in (small, dark)]
    else:
        uris = [f"data:image/svg+xml;base64,{_base64(form)}" for form in (lines, _darkened(lines))]
    return Rendered(figure, _png(pixels), lines, pdf.getvalue(), uris[0], uris[1], small.size)


def _drawn(figure: Figure, theme: Theme, named: Callable[[str], str] | None, dpi: int) -> Drawing:
    """Draw a figure and find the places of its parts, once for all its files: savefig would do so for each."""
    drawing = figure.draw(theme)
    reword(drawing, named)
    FigureCanvasAgg(drawing)
    drawing.set_dpi(dpi)
    _lay_out(drawing)
    return drawing


def _pixels(drawing: Drawing) -> Image.Image:
    canvas = FigureCanvasAgg(drawing)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _png(pixels: Image.Image) -> bytes:
    out = io.BytesIO()
    pixels.save(out, format="png", dpi=(PRINT, PRINT), compress_level=2)
    return out.getvalue()


def _lay_out(drawing: Drawing) -> None:
    """Find the places of all parts, once for all files. Images take the room that their axes have: to scale them
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
    """Write the same drawing to a hundredth of a point, without indents and remarks: a quarter smaller; and its text
    for readers without matplotlib's font, too.
    """
    return BREAK.sub(b"\n", FINER.sub(rb"\1", COMMENT.sub(b"", svg))).replace(FONT, FALLBACKS)


def _darkened(svg: bytes) -> bytes:
    changes = [(getattr(LIGHT, name), getattr(DARK, name)) for name in ("paper", "ink", "faint")]
    for light, dark in [*changes, *BRIGHTER.items()]:
        svg = svg.replace(light.lower().encode(), dark.encode())
    return svg


def _webp(pixels: Image.Image) -> bytes:
    out = io.BytesIO()
    pixels.save(out, format="webp", quality=80, method=4)
    return out.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
