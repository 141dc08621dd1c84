"""Files of figures as printers and other programs read them: text that is text, sizes in inches, no dates."""

from __future__ import annotations

import base64
import io
import re
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from swcl_cli.reporting.figures.photographs import show
from swcl_cli.reporting.figures.style import Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.page.rendering import Rendered, render
from tests.reporting.golden import eye

WORDS = "Vessels of DRIVE"
SIDE = 64


@pytest.fixture(scope="module", params=[False, True])
def drawn(request: pytest.FixtureRequest) -> Rendered:
    def draw(theme: Theme) -> Drawing:
        drawing = new_drawing(theme, 4, 3)
        show(drawing.subplots(), eye(0, SIDE, SIDE), WORDS)
        return drawing

    return render(Figure("p", "t", "s", "a", draw, request.param))


def test_png_has_300_dots_an_inch(drawn: Rendered) -> None:
    image = Image.open(io.BytesIO(drawn.png))
    assert image.size == (1200, 900) and image.mode == "RGB"
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert np.asarray(image).std() > 20


def test_the_page_has_half_as_many(drawn: Rendered) -> None:
    kind, _, data = drawn.light.partition(",")
    assert drawn.size == (600, 450)
    if drawn.figure.photographic:
        assert kind == "data:image/webp;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == drawn.size
    else:
        assert base64.b64decode(data) == drawn.svg


def test_text_of_svg_is_text(drawn: Rendered) -> None:
    texts = [element for element in ElementTree.fromstring(drawn.svg).iter() if element.tag.endswith("}text")]
    assert [text.text for text in texts] == [WORDS]
    assert "font-family: 'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif" in texts[0].attrib["style"]


def test_text_of_pdf_is_text(drawn: Rendered) -> None:
    """Glyphs of an embedded TrueType font, with a table that says which letters they are; no outlines, no dates."""
    assert drawn.pdf.startswith(b"%PDF-") and b"/FontFile2" in drawn.pdf and b"/Type3" not in drawn.pdf
    assert b"Date" not in drawn.pdf
    streams = [zlib.decompress(part) for part in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", drawn.pdf, re.DOTALL)]
    letters = [b"".join(re.findall(rb"\(\x00(.)\)", stream, re.DOTALL)) for stream in streams]
    assert b"/ToUnicode" in drawn.pdf and any(WORDS.encode() in written for written in letters)


def test_a_photograph_in_files_has_its_own_pixels(drawn: Rendered) -> None:
    (size,) = re.findall(rb"/Subtype /Image[^>]*?>>|<<[^>]*?/Subtype /Image[^>]*?>>", drawn.pdf, re.DOTALL)
    assert b"/Width 64" in size and b"/Height 64" in size
    (image,) = [element for element in ElementTree.fromstring(drawn.svg).iter() if element.tag.endswith("}image")]
    data = next(value for name, value in image.attrib.items() if name.endswith("href")).partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (SIDE, SIDE)
