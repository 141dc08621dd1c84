"""Decode image files of all kinds that people have, or say why they can't be used."""

from __future__ import annotations

import math
import re
import stat
import warnings
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from swcl_cli.datasets.names import DICOM_REASON
from swcl_cli.workers import lack

FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "PPM", "BMP", "WEBP", "JPEG2000")
SMALLEST_SIDE = 64
LARGEST_PIXELS = 100_000_000
ORIENTATION = 0x0112
JPEG_START = b"\xff\xd8"
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
JPEG_SCAN, JPEG_END = b"\xda", b"\xd9"
GZIP_START = b"\x1f\x8b"
GZIP = 16 + zlib.MAX_WBITS
DICOM_START = slice(128, 132), b"DICM"
WHITES = (255, 1023, 4095, 16383, 65535)  # of 8, 10, 12, 14 and 16 bits
WITH_DEPTH = {"PNG", "TIFF"}  # formats that store colours of 16 bits, of which Pillow keeps the upper eight
SCALED = "scaled"  # in the info of an image: by which range its levels became 0 to 255, where it was not the usual one
PAGES = "further pages"  # in the info of an image: how many pictures its file holds, where that is not one
LARGEST_UNPACKED = 4 * LARGEST_PIXELS  # bytes
LARGEST_FILE = 8 * LARGEST_PIXELS  # bytes: four channels of 16 bits


class Unusable(Exception):
    """Report an image that can't be used. `problem`: a word or two, by which images are counted; `detail`: more."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem, detail)
        self.problem, self.detail = problem, detail


def read_content(path: Path) -> bytes:
    """Read the bytes of an image file. Raises Unusable for what is no regular file, or too large; it isn't opened then.

    Raises OSError where the computer has too little to open any.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unusable("not a file", "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device")
        if status.st_size > LARGEST_FILE:
            raise Unusable("too large", f"{status.st_size:,} bytes: more than {LARGEST_FILE:,}")
        return path.read_bytes()
    except OSError as error:
        if lack(error):
            raise
        raise Unusable("unreadable", error.strerror or "") from None


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
    except MemoryError:
        raise
    except Exception:
        if data[DICOM_START[0]] == DICOM_START[1]:
            raise Unusable("not an image", DICOM_REASON) from None
        raise Unusable("not an image", f"{len(data):,} bytes, none of {', '.join(FORMATS)}") from None


def _copied(image: Image.Image) -> Image.Image:
    """Copy the pixels, so that nothing that is done to them is seen outside."""
    try:
        return image.copy()
    except MemoryError:
        raise
    except Exception as error:
        raise _undecodable(error) from None


def load(image: Image.Image, data: bytes | Image.Image) -> None:
    """Decode the pixels of the image in `data`. Raises Unusable where a part is missing or wrong."""
    if isinstance(data, bytes) and data.startswith(JPEG_START) and not _ends(data):
        raise Unusable("truncated", "the end of the JPEG is missing")
    try:
        image.load()
    except MemoryError:  # of this computer, not of the image
        raise
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


def pages_of(image: Image.Image) -> int:
    """Return how many pictures the file of an image holds that is not loaded yet; 1 where that can't be told."""
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # a damaged further page says nothing about the first
        return 1


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where it is missing or damaged."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1


def to_rgb(image: Image.Image, data: bytes | Image.Image) -> Image.Image:
    """Convert a loaded image of any mode to RGB: its levels become 0 to 255, alpha is laid over black.

    Levels of more than 8 bits are divided by the white of the fewest bits that hold them all, as cameras of 12 bits
    store them in 16; of floating-point numbers 1 is a white too. Where this is not the white of 16 bits, `info` tells
    it under SCALED. data: what the image was opened from. Raises Unusable.
    """
    if image.mode.startswith(("I", "F")):
        image = _scaled(np.asarray(image), whites=WHITES if image.mode != "F" else (1, *WHITES))
    elif image.format in WITH_DEPTH and image.mode in ("RGB", "RGBA") and isinstance(data, bytes):
        image = _of_all_bits(image, data)
    note = image.info.get(SCALED)
    try:
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer)
        if image.mode == "LAB":
            profiles = (ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"))
            image = ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "LAB", "RGB")) or image
        rgb = image if image.mode == "RGB" else image.convert("RGB")
    except (ValueError, ImageCms.PyCMSError):
        raise Unusable("corrupt", f"its colours are of the kind {image.mode}, which can't be read") from None
    # neither comments nor colour profiles (FACTS A12), which Pillow would write into the prepared file
    rgb.info = {SCALED: note} if note else {}
    return rgb


def _scaled(levels: NDArray[Any], whites: Sequence[int] = WHITES) -> Image.Image:
    """Divide levels (H, W) or (H, W, 3) by the first of `whites` that holds them all, or else by their maximum."""
    low, high = float(levels.min()), float(levels.max())
    if not (low >= 0 and math.isfinite(high)):
        raise Unusable("corrupt", "some of its levels are negative or no numbers")
    white = next((white for white in whites if high <= white), high)
    image = Image.fromarray(np.rint(levels.astype(np.float64) / (white / 255)).astype(np.uint8))
    if white != WHITES[-1]:
        image.info[SCALED] = f"its levels end at {high:,.6g} in {levels.itemsize * 8} bits: {white:,.6g} became 255"
    return image


def _of_all_bits(image: Image.Image, data: bytes) -> Image.Image:
    """Read colours of 16 bits anew where only lower bits are used; they are nearly black in Pillow's upper eight."""
    darkest_white = WHITES[-2] >> 8
    upper = np.asarray(image)[..., :3]
    if upper.max() > darkest_white:
        return image
    levels: NDArray[Any] | None = cv2.imdecode(np.frombuffer(_unpacked(data), np.uint8), cv2.IMREAD_UNCHANGED)
    if levels is None or levels.dtype != np.uint16 or levels.ndim != 3:
        return image
    levels = levels[..., [2, 1, 0]]  # OpenCV's colours are BGR
    if not np.array_equal(levels >> 8, upper):
        return image
    scaled = _scaled(levels)
    if image.mode == "RGBA":
        scaled.putalpha(image.getchannel("A"))
    return scaled
