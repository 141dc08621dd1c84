"""A photograph from bytes to its prepared form: scaled decoding, one resize, RGB, colour sums, encoding."""

from __future__ import annotations

import math
import re
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from swcl_cli.errors import SwclError

FORMATS = ("JPEG", "PNG", "TIFF", "GIF", "PPM", "BMP")
SMALLEST_SIDE = 64
LARGEST_PIXELS = 100_000_000
JPEG_QUALITY = 95
DARK = 15  # the field of view is where the brightest channel is above; the released code's grey of its background
EMPTY_SHARE = 0.05
LONGEST_VIEW = 2.0  # a field of view is round, or nearly; what there is of EyePACS 492_right is 3 : 1
FIELD_SIDE = 256  # pixels: enough to find the field of view in
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
JPEG_START = b"\xff\xd8"
JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
JPEG_SCAN, JPEG_END = b"\xda", b"\xd9"
GZIP_START = b"\x1f\x8b"
GZIP = 16 + zlib.MAX_WBITS
LARGEST_UNPACKED = 4 * LARGEST_PIXELS  # bytes
PREPARE_AGAIN = "make it again with `swcl prep`"


class Unusable(Exception):
    """An image that belongs in quarantine. `problem` is a word or two for counting, `detail` the rest."""

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem, detail)
        self.problem, self.detail = problem, detail


def prepare_photograph(
    data: bytes, size: int, square: bool = False, crop: bool = False
) -> tuple[Image.Image, tuple[int, int]]:
    """The bytes of a photograph -> RGB with its shorter side at `size` pixels, and its own (width, height).

    Size 0 keeps its own; smaller photographs are enlarged, as in the paper. square: `size` x `size`, whatever its
    shape; crop: to its field of view first. A JPEG is decoded at the smallest scale of libjpeg's that is no smaller
    than the result, then resized bilinearly with antialiasing. Alpha is laid over black, 16 bits become 8, EXIF
    orientation is applied, colour profiles are not. Raises Unusable.
    """
    image = open_image(data)
    own = image.size
    part = _field_box(data) if crop else (0, 0, *own)
    shape = (part[2] - part[0], part[3] - part[1])
    target = _target(shape, size, square)
    wanted = [math.ceil(side * result / kept) for side, result, kept in zip(own, target, shape, strict=True)]
    drafted = image.draft(None, (wanted[0], wanted[1])) if size else None
    decoded = drafted[1][2:] if drafted else own  # not whole numbers: the last pixel may lie half outside
    scale = (decoded[0] / own[0], decoded[1] / own[1])
    box = (part[0] * scale[0], part[1] * scale[1], part[2] * scale[0], part[3] * scale[1])
    load(image, data)
    orientation = _orientation(image)  # asked now: loading turns a TIFF, and only that, upright
    rgb = _to_rgb(image)
    if rgb.size != target or crop:
        rgb = rgb.resize(target, Image.Resampling.BILINEAR, box=box)
    if orientation in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[orientation])
        own = own if orientation < 5 else (own[1], own[0])
    return rgb, own


def colour_sums(image: Image.Image) -> list[int]:
    """[pixels, sums of R, G, B, sums of squares of R, G, B], the whole image first, then its field of view.

    Whole numbers, so that adding them up in any order is exact. Raises Unusable where hardly a pixel is lit, or most
    of the frame was never received.
    """
    view = _lit(image)
    whole, lit = _sums(image, None), _sums(image, view)
    if lit[0] < EMPTY_SHARE * whole[0]:
        raise Unusable("empty", f"{100 * lit[0] / whole[0]:.1f} % of its pixels are brighter than {DARK} of 255")
    left, top, right, bottom = view.getbbox() or (0, 0, 1, 1)
    shorter, longer = sorted((right - left, bottom - top))
    if longer > LONGEST_VIEW * shorter:
        lit_part = f"{right - left} x {bottom - top} of {image.width} x {image.height}"
        raise Unusable("cut off", f"only {lit_part} pixels are not black")
    return whole + lit


def colour_statistics(sums: list[int]) -> dict[str, list[float]]:
    """Mean and standard deviation of R, G, B on the scale 0 to 1, over all pixels and over the field of view."""
    statistics: dict[str, list[float]] = {}
    for prefix, part in (("", sums[:7]), ("fov_", sums[7:])):
        count, totals, squares = part[0], part[1:4], part[4:]
        means = [total / count for total in totals]
        spreads = [(square * count - total**2) ** 0.5 / count for total, square in zip(totals, squares, strict=True)]
        statistics[f"{prefix}mean"] = [round(value / 255, 6) for value in means]
        statistics[f"{prefix}std"] = [round(value / 255, 6) for value in spreads]
    return statistics


def encode(image: Image.Image, lossless: bool) -> bytes:
    """A PNG, or a JPEG at quality 95 without chroma subsampling. Equal pixels give equal bytes."""
    buffer = BytesIO()
    if lossless:
        image.save(buffer, format="PNG")
    else:
        image.save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def read_image(path: Path, checksum: int | None = None, remedy: str = PREPARE_AGAIN) -> NDArray[np.uint8]:
    """A prepared image as uint8 (H, W, 3), RGB. checksum: the manifest's, of the file as it was prepared.

    Raises SwclError, which names the remedy, where it is missing, damaged, or another one.
    """
    return np.asarray(_read(path, "RGB", checksum, remedy))


def read_mask(path: Path) -> NDArray[np.uint8]:
    """A prepared mask as uint8 (H, W), values as stored. Raises SwclError where it is missing or damaged."""
    return np.asarray(_read(path, "L"))


def _read(path: Path, mode: str, checksum: int | None = None, remedy: str = PREPARE_AGAIN) -> Image.Image:
    try:
        data = path.read_bytes()
        if checksum is not None and zlib.crc32(data) != checksum:
            raise SwclError(
                f"{path} is not the image that was prepared: it was replaced or damaged since. "
                f"Remove it, then {remedy}."
            )
        with Image.open(BytesIO(data)) as image:
            return image.convert(mode)
    except OSError as error:
        raise SwclError(f"{path} can't be read: {error}. {remedy[0].upper()}{remedy[1:]}.") from error


def open_image(data: bytes) -> Image.Image:
    """The image in these bytes, gzip or not, its pixels not decoded yet. Raises Unusable."""
    data = _unpacked(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit on pixels; ours follows
            image = Image.open(BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise Unusable("too large", f"more than {LARGEST_PIXELS:,} pixels") from None
    except Exception:
        raise Unusable("not an image", f"{len(data):,} bytes, none of {', '.join(FORMATS)}") from None
    if image.width * image.height > LARGEST_PIXELS:
        raise Unusable("too large", f"{image.width} x {image.height}: more than {LARGEST_PIXELS:,} pixels")
    if min(image.size) < SMALLEST_SIDE:
        raise Unusable("too small", f"{image.width} x {image.height}: less than {SMALLEST_SIDE} pixels")
    return image


def load(image: Image.Image, data: bytes) -> None:
    """Decodes the pixels of the image in `data`. Raises Unusable where a part is missing or wrong."""
    if data.startswith(JPEG_START) and not _ends(data):
        raise Unusable("truncated", "the end of the JPEG is missing")
    try:
        image.load()
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ...
        problem = "truncated" if "truncated" in str(error) else "corrupt"
        raise Unusable(problem, "its pixels can't be decoded") from None


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
    """Whether a JPEG's own end marker is there, past its first scan. Where a file's tail was lost and filled with
    zeros, libjpeg decodes grey without a word; an embedded thumbnail's end marker is skipped with its segment.
    """
    position = len(JPEG_START)
    while marker := JPEG_MARKER.search(data, position):
        if marker[1] == JPEG_END:
            return True
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
        if marker[1] == JPEG_SCAN:
            return data.find(b"\xff" + JPEG_END, position) >= 0  # pixels hold no such bytes: their ff is followed by 00
    return False


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1


def _field_box(data: bytes) -> tuple[int, int, int, int]:
    """The box around the lit pixels, in pixels of the file. Raises Unusable where there is hardly a lit one."""
    image = open_image(data)
    own = image.size
    image.draft(None, (FIELD_SIDE, FIELD_SIDE))
    load(image, data)
    small = _to_rgb(image)
    colour_sums(small)
    left, top, right, bottom = _lit(small).getbbox() or (0, 0, *small.size)
    across, down = own[0] / small.width, own[1] / small.height
    box = (math.floor(left * across), math.floor(top * down), math.ceil(right * across), math.ceil(bottom * down))
    return (box[0], box[1], min(own[0], box[2]), min(own[1], box[3]))


def _lit(rgb: Image.Image) -> Image.Image:
    """255 where the brightest channel is above DARK, else 0."""
    red, green, blue = rgb.split()
    brightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return brightest.point([0] * (DARK + 1) + [255] * (255 - DARK))


def _target(own: tuple[int, int], size: int, square: bool) -> tuple[int, int]:
    if not size:
        return own
    if square:
        return (size, size)
    shorter = min(own)
    return (round(own[0] * size / shorter), round(own[1] * size / shorter))


def _to_rgb(image: Image.Image) -> Image.Image:
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


def _sums(image: Image.Image, mask: Image.Image | None) -> list[int]:
    counts: Any = np.array(image.histogram(mask), dtype=np.int64).reshape(3, 256)
    levels = np.arange(256, dtype=np.int64)
    return [int(counts[0].sum()), *(counts @ levels).tolist(), *(counts @ levels**2).tolist()]
