"""Find the image files of a download's folders, by their names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from swcl_cli.datasets.download import NO_IMAGE, NO_LABEL, REFUSED, Download, require_inside
from swcl_cli.datasets.links import why_not_followed
from swcl_cli.datasets.names import Names, ambiguous, is_hidden, is_image, why_unread
from swcl_cli.datasets.zipped import Entry, entries
from swcl_cli.errors import SwclError


def entries_of(folder: Path) -> Iterator[Entry]:
    """List a folder, sorted, without hidden names. Raises SwclError where it can't be read."""
    return (entry for entry in _listed(folder) if not is_hidden(entry.name))


def _listed(folder: Path) -> Iterator[Entry]:
    """List a folder, sorted; each entry is forgotten once it was handed out."""
    try:
        pending = entries(folder)[::-1]
    except OSError as error:
        raise SwclError(f"{folder} can't be read: {error.strerror}.") from error
    while pending:
        yield pending.pop()


def photographs_in(download: Download, folder: Path) -> Path:
    """Return the folder that holds a part's images: inside one of the same name where an archive was unpacked twice.

    Where both hold images the inner one is listed.
    """
    inner = folder / folder.name
    while folder.is_dir() and inner.is_dir():
        if any(is_image(entry.name) for entry in entries_of(folder)):
            download.problem(printable(download.relative(inner)), NO_LABEL, f"a folder beside images of {folder.name}")
            break
        folder, inner = inner, inner / folder.name
    return folder


def printable(name: str) -> str:
    r"""Write bytes of a file name that are not UTF-8 out, as \xff, so that it can be printed."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Images:
    """Hand out the image files of a folder to their labels, by name; the files that remain have no label."""

    def __init__(self, download: Download, folder: Path, ignored: Collection[str] = ()) -> None:
        """List the folder. ignored: names of files that are no photographs or masks, such as label files."""
        self.download, self.folder = download, folder
        self.names = Names()
        if not folder.is_dir():
            return
        require_inside(download.source, folder)
        for entry in _listed(folder):
            if entry.name not in ignored and not entry.is_dir():
                self._add(entry)

    def _add(self, entry: Entry) -> None:
        shown = printable(entry.name)
        path = self.path(shown)
        if is_hidden(entry.name):
            self.download.ignore(path)
        elif shown != entry.name:
            self.problem(path, REFUSED, "its name is not UTF-8")
        elif entry.is_symlink() and (reason := why_not_followed(self.download.source, self.folder / entry.name)):
            self.problem(path, REFUSED, reason)
        elif not entry.is_file():
            self.problem(path, REFUSED, "not a file")
        elif not is_image(entry.name):
            self.problem(path, NO_LABEL, why_unread(entry.name))
        else:
            self.names.add(entry.name)

    def path(self, name: str) -> str:
        """Return the path of a file of this folder, relative to the source."""
        return f"{self.download.relative(self.folder)}/{name}".removeprefix("./")

    def problem(self, path: str, problem: str, detail: str) -> None:
        """Record a problem with a file of this folder."""
        self.download.problem(path, problem, detail)

    def take(self, name: str) -> str | None:
        """Remove the image of this name, with or without suffix, and return its path relative to the source.

        None where there is none. Raises SwclError where the name fits several.
        """
        files = self.names.fitting(name)
        if len(files) > 1:
            raise SwclError(f"{ambiguous(name, [self.path(file) for file in files])}.")
        for file in files:
            self.names.remove(file)
            return self.path(file)
        return None

    def take_all(self, names: re.Pattern[str] = re.compile(".*", re.DOTALL)) -> dict[str, str]:
        """Remove all images whose stem matches, and return their paths by stem."""
        stems = [stem for stem in self.names.first if names.fullmatch(stem)]
        return {stem: path for stem in stems if (path := self.take(stem))}

    def missing(self, name: str, label: str) -> None:
        """Record that a label has no image. label: where it stands, as a file and row."""
        self.problem(self.path(name), NO_IMAGE, label)

    def close(self, problem: str = NO_LABEL, detail: str = "") -> None:
        """Record a problem for each image that remains: no label names it."""
        for name in self.names:
            self.problem(self.path(name), problem, detail)


def walk(download: Download, folder: Path | None = None, linked: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """List the source and all folders below it. Hidden folders and links are left out, as problems.

    Only of a `Followed` source links are followed that lead out of it; linked: folders that such links led to.
    """
    folder = folder or download.source
    yield folder
    for entry in _listed(folder):
        if not entry.is_dir():
            continue
        path = printable(download.relative(folder / entry.name))
        if is_hidden(entry.name):
            download.ignore(path)
        elif entry.is_symlink() and (reason := _why_not_entered(download, folder / entry.name, linked)):
            download.problem(path, REFUSED, reason)
        elif path != download.relative(folder / entry.name):
            download.problem(path, REFUSED, "its name is not UTF-8")
        else:
            within = linked | {(folder / entry.name).resolve()} if entry.is_symlink() else linked
            yield from walk(download, folder / entry.name, within)


def _why_not_entered(download: Download, folder: Path, linked: frozenset[Path]) -> str:
    """Say why a link to a folder is not followed; '' where it is. A folder of the source is read where it lies."""
    reason = why_not_followed(download.source, folder)
    if not reason and folder.resolve().is_relative_to(download.source.resolve()):
        return "a link to a folder"
    return reason or ("a link to a folder that holds it" if folder.resolve() in linked else "")
