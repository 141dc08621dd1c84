"""Read prepared images and masks, and notice where a file changed since it was prepared."""

from __future__ import annotations

import stat
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.errors import SwclError

Mask = NDArray[np.uint8] | NDArray[np.uint16]
DEEP = "I;16"  # grey of two bytes, which masks of many values have
PREPARE_AGAIN = "make it again with `swcl prep`"
CUT_AGAIN = f"{PREPARE_AGAIN}, then run `swcl make-swap --fresh`"  # of photographs that patches lie in


def read_image(path: Path, checksum: int | None = None, remedy: str = PREPARE_AGAIN) -> NDArray[np.uint8]:
    """Read a prepared image as uint8 (H, W, 3), RGB. checksum: the manifest's, of the file as it was prepared.

    Raises SwclError, which names the remedy, where the file is missing, damaged, or replaced.
    """
    return np.asarray(_read(path, "RGB", checksum, remedy))


def read_mask(path: Path) -> Mask:
    """Read a prepared mask (H, W), values as stored. Raises SwclError where it is missing or damaged."""
    return np.asarray(_read(path, "L"))


def _read(path: Path, mode: str, checksum: int | None = None, remedy: str = PREPARE_AGAIN) -> Image.Image:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError("it is no regular file")
        data = path.read_bytes()
        if checksum is not None and zlib.crc32(data) != checksum:
            raise SwclError(
                f"{path} is not the image that was prepared: it was replaced or damaged since. "
                f"Remove it, then {remedy}."
            )
        with Image.open(BytesIO(data)) as image:
            return image.copy() if (image.mode, mode) == (DEEP, "L") else image.convert(mode)
    except OSError as error:
        raise SwclError(f"{path} can't be read: {error}. {remedy[0].upper()}{remedy[1:]}.") from error
