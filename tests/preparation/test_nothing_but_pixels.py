"""What photographs and masks carry besides their pixels, such as a name, is not in what is prepared of them."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from swcl_cli.preparation.photograph import encode, prepare_photograph
from swcl_cli.steps import prep
from swcl_cli.workspace import Workspace
from tests import downloads
from tests.prep_runs import settings

NAME = b"Jane Doe"
JPEG_PARTS = {0xE0, 0xDB, 0xC0, 0xC4, 0xDA}  # JFIF, quantisation, frame, Huffman tables, scan
PNG_PARTS = {b"IHDR", b"IDAT", b"IEND"}


def profile(colours: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(colours)).tobytes()  # type: ignore[arg-type]


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x010E] = tags[0x013B] = NAME.decode()  # description, artist
    return tags


def texts() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", NAME.decode())
    info.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{NAME.decode()}</x:xmpmeta>")
    return info


LADEN: list[tuple[str, str, dict[str, Any]]] = [
    ("JPEG", "jpg", {"comment": NAME, "exif": exif(), "icc_profile": profile("sRGB"), "dpi": (300, 300)}),
    ("JPEG", "jpg", {"xmp": b"<x:xmpmeta>" + NAME, "icc_profile": profile("LAB")}),
    ("PNG", "png", {"pnginfo": texts(), "exif": exif(), "icc_profile": profile("sRGB"), "dpi": (300, 300)}),
    ("PNG", "png", {"icc_profile": profile("XYZ")}),
    ("TIFF", "tif", {"exif": exif(), "icc_profile": profile("sRGB"), "compression": "tiff_lzw"}),
    ("GIF", "gif", {"comment": NAME}),
    ("BMP", "bmp", {"dpi": (300, 300)}),
]


def parts_of_jpeg(data: bytes) -> set[int]:
    """The markers of the segments of a JPEG up to its scan."""
    place, markers = 2, set()
    while 0xDA not in markers:
        assert data[place] == 0xFF
        markers.add(data[place + 1])
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return markers


def parts_of_png(data: bytes) -> set[bytes]:
    """The names of the chunks of a PNG."""
    place, names = 8, set()
    while place < len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        names.add(name)
        place += 12 + length
    return names


def saved(image: Image.Image, kind: str, **carried: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **carried)
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "suffix", "carried"), LADEN)
@pytest.mark.parametrize("size", [0, 80])
def test_equal_pixels_are_equal_bytes(kind: str, suffix: str, carried: dict[str, Any], size: int) -> None:
    image = downloads.photograph(1)
    plain, laden = saved(image, kind), saved(image, kind, **carried)
    assert plain != laden and (NAME in laden or "icc_profile" in carried or kind == "BMP")
    for lossless in (True, False):
        first, second = (encode(prepare_photograph(data, size)[0], lossless) for data in (plain, laden))
        assert first == second
        assert parts_of_png(second) == PNG_PARTS if lossless else parts_of_jpeg(second) == JPEG_PARTS


@pytest.mark.parametrize("kind", ["mask", "lesions"])
def test_prepared_files_hold_nothing_else(tmp_path: Path, kind: str) -> None:
    """Photographs of all formats, with a mask or a mask of lesions each, from the files to the workspace."""
    image, mask = downloads.photograph(1), downloads.vessels(120, 100)
    for number, (form, suffix, carried) in enumerate(LADEN):
        for folder, pixels, name, options in (
            ("source", image, form, carried),
            ("masks", mask, "PNG", {"pnginfo": texts(), "exif": exif(), "icc_profile": profile("sRGB")}),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            pixels.save(tmp_path / folder / f"{number}.{suffix if folder == 'source' else 'png'}", name, **options)
    masks = {"masks" if kind == "mask" else "lesion_masks": tmp_path / "masks"}
    size = 0 if kind == "mask" else 80
    prep.run(settings(tmp_path / "work", "folder", tmp_path / "source", size=size, **masks))
    work = Workspace(tmp_path / "work")
    files = [*work.images("folder").iterdir(), *work.masks("folder").iterdir()]
    assert len(files) == 2 * len(LADEN)
    for path in files:
        data = path.read_bytes()
        assert parts_of_png(data) == PNG_PARTS if path.suffix == ".png" else parts_of_jpeg(data) == JPEG_PARTS
        assert NAME not in data
