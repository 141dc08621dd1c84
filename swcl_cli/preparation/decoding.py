"""Decode image files of all kinds that people have, or say why they can't be used."""

from __future__ import annotations

import re
import warnings
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "PPM", "BMP")
SMALLEST_SIDE = 64
LARGEST_PIXELS = 100_000_000
ORIENTATION = 0x0112
JPEG_START = b"\xff\xd8"
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
JPEG_SCAN, JPEG_END = b"\xda", b"\xd9"
GZIP_START = b"\x1f\x8b"
GZIP = 16 + zlib.MAX_WBITS
LARGEST_UNPACKED = 4 * LARGEST_PIXELS  # bytes


class Unusable(Exception):
    """Report an image that can't be used. `problem`: a word or two, by which images are counted; `detail`: more."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem, detail)
        self.problem, self.detail = problem, detail


def open_image(data: bytes | Image.Image) -> Image.Image:
    """Open the image in these bytes, gzip or not, its pixels not decoded yet; an image that is open already is copied.

    Raises Unusable.
    """
    image = _copied(data) if isinstance(data, Image.Image) else _opened(_unpacked(data))
    if image.width * image.height > LARGEST_PIXELS:
        raise Unusable("too large", f"{image.width} x {image.height}: more than {LARGEST_PIXELS:,} pixels")
    if min(image.size) < SMALLEST_SIDE:
        raise Unusable("too small", f"{image.width} x {image.height}: less than {SMALLEST_SIDE} pixels")
    return image


def _opened(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit on pixels; ours follows
            return Image.open(BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise Unusable("too large", f"more than {LARGEST_PIXELS:,} pixels") from None
    except Exception:
        raise Unusable("not an image", f"{len(data):,} bytes, none of {', '.join(FORMATS)}") from None


def _copied(image: Image.Image) -> Image.Image:
    """Copy the pixels, so that nothing that is done to them is seen outside."""
    try:
        return image.copy()
    except Exception as error:
        raise _undecodable(error) from None


def load(image: Image.Image, data: bytes | Image.Image) -> None:
    """Decode the pixels of the image in `data`. Raises Unusable where a part is missing or wrong."""
    if isinstance(data, bytes) and data.startswith(JPEG_START) and not _ends(data):
        raise Unusable("truncated", "the end of the JPEG is missing")
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        raise _undecodable(error) from None


def _undecodable(error: Exception) -> Unusable:
    return Unusable("truncated" if "truncated" in str(error) else "corrupt", "its pixels can't be decoded")


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(GZIP_START):
        return data
    unpacking = zlib.decompressobj(GZIP)
    try:
        content = unpacking.decompress(data, LARGEST_UNPACKED)
    except zlib.error:
        raise Unusable("corrupt", "it can't be unpacked") from None
    if not unpacking.eof:
        if unpacking.unconsumed_tail:
            raise Unusable("too large", f"more than {LARGEST_UNPACKED:,} bytes once unpacked")
        raise Unusable("truncated", "the end of the gzip file is missing")
    return content


def _ends(data: bytes) -> bool:
    """Return whether a JPEG has its own end marker, past its first scan.

    Where a file's tail was lost and filled with zeros, libjpeg decodes grey without an error. An embedded thumbnail's
    end marker is skipped with its segment.
    """
    position = len(JPEG_START)
    while marker := JPEG_MARKER.search(data, position):
        if marker[1] == JPEG_END:
            return True
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        if marker[1] == JPEG_SCAN:
            return data.find(b"\xff" + JPEG_END, position) >= 0  # pixels hold no such bytes: their ff is followed by 00
    return False


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where it is missing or damaged."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to RGB: 16 bits become 8, alpha is laid over black. Raises Unusable."""
    if image.mode.startswith("I"):
        levels = np.asarray(image, dtype=np.float64)
        if levels.min() < 0 or levels.max() > 65535:
            raise Unusable("corrupt", "its grey levels are not in 0 to 65535")
        image = Image.fromarray(np.rint(levels / 257).astype(np.uint8))
    if image.mode == "F":
        raise Unusable("corrupt", "its pixels are floating-point numbers")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer)
    return image if image.mode == "RGB" else image.convert("RGB")
