"""Find photographs of any kind, and prepare them in memory in the form that a trained model expects."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.datasets.names import IMAGE_SUFFIXES
from swcl_cli.errors import SwclError
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.photograph import colour_sums, encode, prepare_photograph

SUFFIXES = tuple(sorted(IMAGE_SUFFIXES))
PACKED = ".gz"

Photograph: TypeAlias = "str | Path | bytes | Image.Image | NDArray[np.uint8]"


@dataclass(frozen=True)
class Form:
    """Say how the photographs of a data set were prepared. size: their shorter side in pixels, 0 keeps their own."""

    size: int
    square: bool
    crop_to_field: bool
    lossless: bool


def read_unprepared(photograph: Photograph, form: Form) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Prepare a photograph as `prep` would have, its JPEG loss included; return also its own width and height.

    Raises Unusable where it can't be read, or is empty.
    """
    prepared, own = prepare_photograph(_content(photograph), form.size, form.square, form.crop_to_field)
    colour_sums(prepared)
    if not form.lossless:
        prepared = Image.open(BytesIO(encode(prepared, lossless=False))).convert("RGB")
    return np.asarray(prepared), own


def read_at_own_size(photograph: Photograph) -> NDArray[np.uint8]:
    """Read a photograph upright, at its own size: uint8 (H, W, 3). Raises Unusable."""
    return np.asarray(prepare_photograph(_content(photograph), 0)[0])


def find_photographs(given: Iterable[Path], besides: Path) -> dict[str, Path]:
    """Find the given files and all image files below the given folders, but not below `besides`.

    Keys are unique names: paths below the folder that holds all files, with suffixes only where two files would have
    the same name. Hidden files are left out. Raises SwclError where a given path does not exist, or no file is found.
    """
    places = [Path(os.path.abspath(path)) for path in given]
    missing = next((str(path) for path in places if not path.exists()), None)
    if missing:
        raise SwclError(f"{missing} does not exist: IMAGES are files or folders of photographs.")
    photographs = {path: None for place in places for path in _below(place, Path(os.path.abspath(besides)))}
    if not photographs:
        raise SwclError(f"{', '.join(map(str, places))} holds no photographs: looked for {', '.join(SUFFIXES)}.")
    top = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in places]))
    full = {path: path.relative_to(top).as_posix() for path in photographs}
    short = {path: os.path.splitext(name.removesuffix(PACKED))[0] for path, name in full.items()}
    times = Counter(short.values())
    return {short[path] if times[short[path]] == 1 else full[path]: path for path in photographs}


def _below(place: Path, besides: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    for folder, folders, files in os.walk(place):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and Path(folder) / name != besides)
        for name in sorted(files):
            if not name.startswith(".") and name.lower().removesuffix(PACKED).endswith(SUFFIXES):
                yield Path(folder) / name


def _content(photograph: Photograph) -> bytes | Image.Image:
    if isinstance(photograph, bytes | Image.Image):
        return photograph
    if isinstance(photograph, np.ndarray):
        if photograph.dtype != np.uint8 or photograph.ndim != 3 or photograph.shape[2] != 3:
            raise Unusable("not an image", f"an array is uint8 (H, W, 3), not {photograph.dtype} {photograph.shape}")
        return Image.fromarray(photograph)
    try:
        return Path(photograph).read_bytes()
    except OSError as error:
        raise Unusable("unreadable", error.strerror or "") from None
