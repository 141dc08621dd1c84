"""Find photographs of any kind, and prepare them in memory in the form that a trained model expects."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.datasets.names import IMAGE_SUFFIXES
from swcl_cli.datasets.zipped import Member, entries
from swcl_cli.errors import SwclError
from swcl_cli.preparation.decoding import PAGES, SCALED, Unusable, read_content
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


def read_unprepared(photograph: Photograph, form: Form) -> tuple[NDArray[np.uint8], tuple[int, int], tuple[str, ...]]:
    """Prepare a photograph as `prep` would have, its JPEG loss included.

    Return also its own width and height, and how it was read, where that is to be told.

    Raises Unusable where it can't be read, or is empty.
    """
    prepared, own = prepare_photograph(_content(photograph), form.size, form.square, form.crop_to_field)
    colour_sums(prepared)
    notes = tuple(str(prepared.info[name]) for name in (SCALED, PAGES) if name in prepared.info)
    if not form.lossless:
        prepared = Image.open(BytesIO(encode(prepared, lossless=False))).convert("RGB")
    return np.asarray(prepared), own, notes


def read_at_own_size(photograph: Photograph) -> NDArray[np.uint8]:
    """Read a photograph upright, at its own size: uint8 (H, W, 3). Raises Unusable."""
    return np.asarray(prepare_photograph(_content(photograph), 0)[0])


@dataclass(frozen=True)
class Found:
    """Hold files by unique names that can be shown, and for each file that was not taken the reason."""

    files: dict[str, Path]
    aside: dict[str, Unusable]


def find_photographs(given: Iterable[Path], besides: Path) -> Found:
    """Find the given files, and all files below the given folders, but not below `besides`.

    Names are paths below the given folder, which is named too where there are several, or names of given files. They
    have suffixes only where two files would have the same name, and further folders before them where that is not
    enough. Hidden files and folders, linked folders, and what is no regular file are set aside. Raises SwclError where
    a given path does not exist, or no file is found.
    """
    places = [path if isinstance(path, Member) else Path(os.path.abspath(path)) for path in given]
    missing = next((str(path) for path in places if not (path.exists() or path.is_symlink())), None)
    if missing:
        raise SwclError(f"{missing} does not exist: IMAGES are files or folders of photographs.")
    several = len({place for place in places if not set(place.parents) & set(places)}) > 1
    found: dict[Path, tuple[int, Unusable | None]] = {}  # how many last parts of a path its name has at least
    for place in places:
        before = len(place.parts) - (several or not place.is_dir())
        for path, problem in _below(place, Path(os.path.abspath(besides))):
            found.setdefault(path, (len(path.parts) - before, problem))
    if not any(problem is None for _, problem in found.values()):
        raise SwclError(f"{', '.join(map(str, places))} holds no photographs.")
    names = _names({path: parts for path, (parts, _) in found.items()})
    aside = {name: problem for path, name in names.items() if (problem := found[path][1])}
    return Found({name: path for path, name in names.items() if name not in aside}, aside)


def _names(parts: Mapping[Path, int]) -> dict[Path, str]:
    """Name each file by its last parts, of which each has at least so many: unique, and without suffix if that is."""
    parts = dict(parts)
    while True:
        whole = {path: "/".join(path.parts[-count:]) for path, count in parts.items()}
        if not (alike := _repeated(whole)):
            break
        parts.update({path: parts[path] + 1 for path in alike})
    names = {path: os.path.splitext(name.removesuffix(PACKED))[0] for path, name in whole.items()}
    while alike := _repeated(names):
        names.update({path: whole[path] for path in alike})
    return names


def _repeated(names: Mapping[Path, str]) -> list[Path]:
    """List the paths that have the name of another."""
    times = Counter(names.values())
    return [path for path, name in names.items() if times[name] > 1]


def _below(place: Path, besides: Path) -> Iterator[tuple[Path, Unusable | None]]:
    """List a file, or all files below a folder, each with the reason why it can't be a photograph, if there is one."""
    if not place.is_dir():
        yield place, _not_regular(place)
        return
    try:
        listed = [(entry, place / entry.name) for entry in entries(place)]
    except OSError as error:
        yield place, Unusable("left out", f"a folder that can't be read: {error.strerror}")
        return
    folders = [(entry, path) for entry, path in listed if entry.is_dir() and path != besides]
    left_out = [path for entry, path in folders if path.name.startswith(".") or entry.is_symlink()]
    for path in left_out:
        yield path, Unusable("left out", "a hidden folder" if path.name.startswith(".") else "a link to a folder")
    for entry, path in listed:
        if not entry.is_dir():
            yield path, Unusable("left out", "a hidden file") if path.name.startswith(".") else _not_regular(path)
    for _, path in folders:
        if path not in left_out:
            yield from _below(path, besides)


def _not_regular(path: Path) -> Unusable | None:
    """Say why this is no regular file, without opening it."""
    try:
        return None if stat.S_ISREG(path.stat().st_mode) else Unusable("not a file", "a pipe, socket or device")
    except OSError as error:  # a loop of links, or a link to nothing
        return Unusable("not a file", error.strerror or "")


def _content(photograph: Photograph) -> bytes | Image.Image:
    if isinstance(photograph, bytes | Image.Image):
        return photograph
    if isinstance(photograph, np.ndarray):
        if photograph.dtype != np.uint8 or photograph.ndim != 3 or photograph.shape[2] != 3:
            raise Unusable("not an image", f"an array is uint8 (H, W, 3), not {photograph.dtype} {photograph.shape}")
        return Image.fromarray(photograph)
    return read_content(photograph if isinstance(photograph, Path) else Path(photograph))
