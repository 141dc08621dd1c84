"""Find the image files of a download's folders, by their stems."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from swcl_cli.datasets.download import NO_IMAGE, NO_LABEL, REFUSED, Download, require_inside
from swcl_cli.errors import SwclError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".bmp", ".ppm"})
PACKED = ".gz"


def split_name(name: str) -> tuple[str, str]:
    """Split an image's file name into stem and suffix, without a .gz at its end."""
    return os.path.splitext(name.removesuffix(PACKED))


def entries_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    """List a folder, sorted, without hidden names. Raises SwclError where it can't be read."""
    try:
        with os.scandir(folder) as entries:
            pending = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise SwclError(f"{folder} can't be read: {error.strerror}.") from error
    pending.sort(key=lambda entry: entry.name, reverse=True)
    while pending:
        yield pending.pop()


def printable(name: str) -> str:
    r"""Write bytes of a file name that are not UTF-8 out, as \xff, so that it can be printed."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Images:
    """Hand out the image files of a folder to their labels, by stem; the files that remain have no label."""

    def __init__(self, download: Download, folder: Path, ignored: Collection[str] = ()) -> None:
        """List the folder. ignored: names of files that are no photographs or masks, such as label files."""
        self.download, self.folder = download, folder
        self.paths: dict[str, str] = {}
        if not folder.is_dir():
            return
        require_inside(download.source, folder)
        for entry in entries_of(folder):
            if entry.name not in ignored and not entry.is_dir():
                self._add(entry)

    def _add(self, entry: os.DirEntry[str]) -> None:
        shown = printable(entry.name)
        path = f"{self.download.relative(self.folder)}/{shown}".removeprefix("./")
        stem, suffix = split_name(entry.name)
        if shown != entry.name:
            self.problem(path, REFUSED, "its name is not UTF-8")
        elif entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(self.download.source.resolve()):
            self.problem(path, REFUSED, "a link that leads out of the source")
        elif not entry.is_file():
            self.problem(path, REFUSED, "not a file")
        elif suffix.lower() not in IMAGE_SUFFIXES:
            self.problem(path, NO_LABEL, "not an image by its name")
        elif stem in self.paths:
            self.problem(path, NO_LABEL, f"{self.paths[stem]} has the same name and is used")
        else:
            self.paths[stem] = path

    def problem(self, path: str, problem: str, detail: str) -> None:
        """Record a problem with a file of this folder."""
        self.download.problem(path, problem, detail)

    def take(self, stem: str) -> str | None:
        """Remove an image from the list and return its path relative to the source; None where there is none."""
        return self.paths.pop(stem, None)

    def take_all(self, names: re.Pattern[str]) -> dict[str, str]:
        """Remove all images whose stem matches, and return their paths by stem."""
        return {stem: self.paths.pop(stem) for stem in [stem for stem in self.paths if names.fullmatch(stem)]}

    def missing(self, name: str, label: str) -> None:
        """Record that a label has no image. label: where it stands, as a file and row."""
        folder = self.download.relative(self.folder)
        self.problem(f"{folder}/{name}".removeprefix("./"), NO_IMAGE, label)

    def close(self, problem: str = NO_LABEL, detail: str = "") -> None:
        """Record a problem for each image that remains: no label names it."""
        for path in self.paths.values():
            self.problem(path, problem, detail)


def walk(download: Download, folder: Path | None = None) -> Iterator[Path]:
    """List the source and all folders below it. Hidden folders are left out; linked ones are refused, as problems."""
    folder = folder or download.source
    yield folder
    for entry in entries_of(folder):
        if not entry.is_dir():
            continue
        path = printable(download.relative(Path(entry.path)))
        if entry.is_symlink():
            download.problem(path, REFUSED, "a link to a folder")
        elif path != download.relative(Path(entry.path)):
            download.problem(path, REFUSED, "its name is not UTF-8")
        else:
            yield from walk(download, Path(entry.path))
