"""Read what the names of people's folders say of the images in them: which split they are, or that they are masks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from swcl_cli.datasets.download import SPLIT_WORDS
from swcl_cli.datasets.names import photograph_of, stem_of
from swcl_cli.errors import SwclError

UNCLEAR = {"dev", "development", "eval", "evaluation", "holdout", "heldout"}  # may mean a split, but which
MASK_FOLDERS = {"mask", "masks"}
MASK_WORDS = MASK_FOLDERS | {
    *("annotation", "annotations", "groundtruth", "groundtruths", "truth", "truths", "gt", "label", "labels"),
    *("lesion", "lesions", "manual", "seg", "segmentation", "segmentations", "segs", "vessel", "vessels"),
}
HUMP = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")  # in TestSet
WORD = re.compile(r"[^\W\d_]+")
ENDING = re.compile(r"(?<=.)(?:set|data|images?|imgs?|photos?|photographs?)$")  # of testset


def words_of(folder: str) -> set[str]:
    """Return the words of a folder's name: b, testing and set of `b. Testing Set`, test of testset2 and `TEST`."""
    return {ENDING.sub("", word) for word in WORD.findall(HUMP.sub(" ", folder).casefold())}


def split_of(path: str) -> tuple[str, str] | None:
    """Return the split that a folder of the path names, and the folder. Raises SwclError where they name several."""
    named = {SPLIT_WORDS[word]: folder for folder in _folders(path) for word in words_of(folder) if word in SPLIT_WORDS}
    if len(named) > 1:
        raise SwclError(f"{path}: its folders name several splits, {' and '.join(sorted(named))}: rename one.")
    return next(iter(named.items()), None)


def unclear(paths: Iterable[str]) -> list[str]:
    """List the folders that may be a split, but do not say which."""
    return sorted({folder for path in paths for folder in _folders(path) if words_of(folder) & UNCLEAR})


def mask_folder(path: str, photographs: set[str]) -> str | None:
    """Return the folder of the path that holds masks, by its name; None where there is none.

    photographs: the stems that `plain_stems` returns. A name such as `labels` says so of images alone that are called
    as one of these, with or without an ending: P1_seg.
    """
    for folder in PurePosixPath(path).parents:
        if folder.name.casefold() in MASK_FOLDERS:
            return folder.as_posix()
        if words_of(folder.name) & MASK_WORDS and not photographs.isdisjoint(_beginnings(path)):
            return folder.as_posix()
    return None


def plain_stems(paths: Iterable[str]) -> set[str]:
    """Return the names, without suffix, of the images that lie in no folder whose name may mean masks."""
    return {_stem(path) for path in paths if not any(words_of(folder) & MASK_WORDS for folder in _folders(path))}


def _folders(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[:-1]


def _stem(path: str) -> str:
    return stem_of(path).rpartition("/")[2]


def _beginnings(path: str) -> Iterator[str]:
    """Yield the names of photographs that a mask of this name can be of."""
    stem = _stem(path)
    yield stem
    if plain := photograph_of(stem):
        yield plain
    for end in re.finditer("[_-]", stem):
        yield stem[: end.start()]
