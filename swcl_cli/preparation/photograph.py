"""Turn a photograph's bytes into its prepared form: scaled decoding, one resize, RGB, colour sums, encoding."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from swcl_cli.preparation.decoding import PAGES, Unusable, load, open_image, orientation_of, pages_of, to_rgb

JPEG_QUALITY = 95
DARK = 15  # the field of view is where the brightest channel is above; the released code's grey of its background
EMPTY_SHARE = 0.05
EMPTY, CUT_OFF = "empty", "cut off"  # problems of frames that are nearly empty
NO_PHOTOGRAPH = "no photograph"
GRID = 96  # pixels of a side
PURE, GREY, NEAR = 3, 24, 32  # levels of 255
PURE_SHARE, NEAR_SHARE = 0.7, 0.93
LONGEST_VIEW = 2.0  # longer : shorter side; a field of view is nearly round, but the rest of EyePACS 492_right is 3 : 1
FIELD_SIDE = 256  # pixels: enough to find the field of view in
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def prepare_photograph(
    data: bytes | Image.Image, size: int, square: bool = False, crop: bool = False
) -> tuple[Image.Image, tuple[int, int]]:
    """Turn a photograph into RGB with its shorter side at `size` pixels; return also its own (width, height).

    data: the bytes of its file, or an image whose pixels are taken as they are.

    Size 0 keeps its own; smaller photographs are enlarged, as in the paper. square: `size` x `size`, whatever its
    shape; crop: to its field of view first. A JPEG is decoded at the smallest scale of libjpeg's that is no smaller
    than the result, then resized bilinearly with antialiasing. Alpha is laid over black, 16 bits become 8, EXIF
    orientation is applied, colour profiles are not. The result is pixels alone, but that its `info` tells how levels
    were scaled, under SCALED (decoding.py), and of further pictures in the file, under PAGES. Raises Unusable.
    """
    image = open_image(data)
    own, pages = image.size, pages_of(image)
    part = _field_box(data) if crop else (0, 0, *own)
    shape = (part[2] - part[0], part[3] - part[1])
    target = _target(shape, size, square)
    wanted = [math.ceil(side * result / extent) for side, result, extent in zip(own, target, shape, strict=True)]
    drafted = image.draft(None, (wanted[0], wanted[1])) if size else None
    decoded = drafted[1][2:] if drafted else own  # not whole numbers: the last pixel may lie half outside
    scale = (decoded[0] / own[0], decoded[1] / own[1])
    box = (part[0] * scale[0], part[1] * scale[1], part[2] * scale[0], part[3] * scale[1])
    load(image, data)
    orientation = orientation_of(image)  # read after loading, which turns a TIFF, and only that, upright
    rgb = to_rgb(image, data)
    if len(rgb.getcolors(2) or ()) == 2:
        raise Unusable(NO_PHOTOGRAPH, "its pixels have two colours alone, as those of a mask")
    if _is_black_and_white(rgb):
        raise Unusable(NO_PHOTOGRAPH, "its pixels are black and white, as those of a mask that was saved with loss")
    if rgb.size != target or crop:
        rgb = rgb.resize(target, Image.Resampling.BILINEAR, box=box)
    if orientation in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[orientation])
        own = own if orientation < 5 else (own[1], own[0])
    if pages > 1:
        rgb.info[PAGES] = f"its file holds {pages:,} pictures, of which the first was read"
    return rgb, own


def colour_sums(image: Image.Image) -> list[int]:
    """Count pixels, and sum R, G, B and their squares, first of the whole image, then of its field of view: 14 numbers.

    Whole numbers, so that adding them up in any order is exact. Raises Unusable where hardly a pixel is lit, or most
    of the frame was never received.
    """
    view = _lit(image)
    whole, lit = _sums(image, None), _sums(image, view)
    if lit[0] < EMPTY_SHARE * whole[0]:
        raise Unusable(EMPTY, f"{100 * lit[0] / whole[0]:.1f} % of its pixels are brighter than {DARK} of 255")
    left, top, right, bottom = view.getbbox() or (0, 0, 1, 1)
    shorter, longer = sorted((right - left, bottom - top))
    if longer > LONGEST_VIEW * shorter:
        lit_part = f"{right - left} x {bottom - top} of {image.width} x {image.height}"
        raise Unusable(CUT_OFF, f"only {lit_part} pixels are not black")
    return whole + lit


def colour_statistics(sums: list[int]) -> dict[str, list[float]]:
    """Compute mean and standard deviation of R, G, B, 0 to 1, over all pixels and over the field of view."""
    statistics: dict[str, list[float]] = {}
    for prefix, part in (("", sums[:7]), ("fov_", sums[7:])):
        count, totals, squares = part[0], part[1:4], part[4:]
        means = [total / count for total in totals]
        spreads = [(square * count - total**2) ** 0.5 / count for total, square in zip(totals, squares, strict=True)]
        statistics[f"{prefix}mean"] = [round(value / 255, 6) for value in means]
        statistics[f"{prefix}std"] = [round(value / 255, 6) for value in spreads]
    return statistics


def encode(image: Image.Image, lossless: bool) -> bytes:
    """Encode as PNG, or as JPEG at quality 95 without chroma subsampling. Equal pixels give equal bytes."""
    buffer = BytesIO()
    if lossless:
        image.save(buffer, format="PNG")
    else:
        image.save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _is_black_and_white(rgb: Image.Image) -> bool:
    """Return whether an image is a mask of black and white that lossy compression has blurred, by pixels of a grid.

    Of masks of vessels, fields and lesions as JPEG of quality 40 to 90 at least 84 % of pixels are pure, and 95 % near
    black or white; of 4,303 photographs of public sets those that are as near have at most 60 % pure pixels (run).
    """
    pixels = np.asarray(rgb.resize((GRID, GRID), Image.Resampling.NEAREST))
    if ((pixels <= NEAR) | (pixels >= 255 - NEAR)).mean() < NEAR_SHARE:
        return False
    pure = ((pixels <= PURE) | (pixels >= 255 - PURE)).all(axis=-1).mean()
    grey = (np.ptp(pixels, axis=-1) <= GREY).mean()
    return bool(pure >= PURE_SHARE and grey >= NEAR_SHARE and np.asarray(rgb).max() >= 255 - NEAR)


def _field_box(data: bytes | Image.Image) -> tuple[int, int, int, int]:
    """Return the box around the lit pixels, in pixels of the file. Raises Unusable where hardly a pixel is lit."""
    image = open_image(data)
    own = image.size
    image.draft(None, (FIELD_SIDE, FIELD_SIDE))
    load(image, data)
    small = to_rgb(image, data)
    colour_sums(small)
    left, top, right, bottom = _lit(small).getbbox() or (0, 0, *small.size)
    across, down = own[0] / small.width, own[1] / small.height
    box = (math.floor(left * across), math.floor(top * down), math.ceil(right * across), math.ceil(bottom * down))
    return (box[0], box[1], min(own[0], box[2]), min(own[1], box[3]))


def _lit(rgb: Image.Image) -> Image.Image:
    """Return the mask of lit pixels: 255 where the brightest channel is above DARK, else 0."""
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


def _sums(image: Image.Image, mask: Image.Image | None) -> list[int]:
    counts: Any = np.array(image.histogram(mask), dtype=np.int64).reshape(3, 256)
    levels = np.arange(256, dtype=np.int64)
    return [int(counts[0].sum()), *(counts @ levels).tolist(), *(counts @ levels**2).tolist()]
