"""What a parser hands over: one `Photograph` a labelled image, and a `Problem` for all that does not fit together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from swcl_cli.errors import SwclError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".bmp", ".ppm"})

NO_IMAGE = "label without image"
NO_LABEL = "image without label"
NO_MASK = "no mask"
DROPPED = "dropped"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Photograph:
    """One image of the download. `path`, `mask` and `fov` are POSIX and relative to the source."""

    image_id: str
    patient_id: str
    split: str
    path: str
    eye: str = "unknown"
    abnormal: bool | None = None
    dr_grade: int | None = None
    dme_grade: int | None = None
    glaucoma: bool | None = None
    mask: str | None = None
    fov: str | None = None
    keywords: str | None = None
    age: int | None = None
    sex: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A line of `quarantine.csv`."""

    source_path: str
    problem: str
    detail: str


@dataclass
class Download:
    """A raw download as its label files describe it. `published`: images of each split that the publication counts;
    `found`: those that are here, dropped ones too.

    `draw_validation`: no validation split is published, so a fifth of `train` becomes it.
    """

    source: Path
    published: dict[str, int]
    draw_validation: bool
    photographs: list[Photograph] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)
    label_files: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def relative(self, path: Path) -> str:
        return path.relative_to(self.source).as_posix()

    def labels(self, path: Path) -> Path:
        """Notes down a label file. Raises SwclError where it is missing or lies outside the source."""
        if not path.is_file():
            raise SwclError(f"The label file {path} is missing.")
        require_inside(self.source, path)
        self.label_files.append(self.relative(path))
        return path


def require_inside(source: Path, path: Path) -> None:
    """Raises SwclError where a link leads out of the source."""
    if not path.resolve().is_relative_to(source.resolve()):
        raise SwclError(f"{path} is a link that leads out of {source}: nothing outside the source is read.")


def find(source: Path, names: Iterable[str], depth: int) -> Path | None:
    """The first of `names` in the source, or up to `depth` folders below it, the nearest first.

    Raises SwclError where a name is there twice at the same depth, or can't be looked for.
    """
    for name in names:
        for level in range(depth + 1):
            found = sorted(source.glob("*/" * level + name))
            if len(found) > 1:
                raise SwclError(f"{source} holds {name} twice: {found[0]} and {found[1]}. Name the one folder.")
            if found:
                return found[0]
    return None


def check_source(source: Path) -> None:
    if not source.is_dir():
        raise SwclError(f"{source} is not a folder: SOURCE must name the folder that holds the raw download.")


def wrong_layout(source: Path, name: str, expected: str) -> SwclError:
    return SwclError(f"{source} does not look like a download of {name}.\nLooked for: {expected}")


class Images:
    """The image files of one folder by their stems; what stays untaken has no label."""

    def __init__(self, download: Download, folder: Path) -> None:
        self.download, self.folder = download, folder
        self.paths: dict[str, str] = {}
        self.taken: set[str] = set()
        if not folder.is_dir():
            return
        require_inside(download.source, folder)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise SwclError(f"{folder} can't be read: {error.strerror}.") from error
        for entry in entries:
            self._add(entry)

    def _add(self, entry: os.DirEntry[str]) -> None:
        if entry.name.startswith(".") or entry.is_dir():
            return
        shown = entry.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        path = f"{self.download.relative(self.folder)}/{shown}".removeprefix("./")
        stem, suffix = Path(entry.name).stem, Path(entry.name).suffix
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
        self.download.problems.append(Problem(path, problem, detail))

    def take(self, stem: str) -> str | None:
        """The path of this image relative to the source, or None where the folder lacks it."""
        self.taken.add(stem)
        return self.paths.get(stem)

    def missing(self, name: str, label: str) -> None:
        """Notes down that `label` (where it stands) belongs to an image that is not there."""
        folder = self.download.relative(self.folder)
        self.problem(f"{folder}/{name}", NO_IMAGE, label)

    def close(self) -> None:
        """Notes down the images that no label names."""
        for stem, path in self.paths.items():
            if stem not in self.taken:
                self.problem(path, NO_LABEL, "")
