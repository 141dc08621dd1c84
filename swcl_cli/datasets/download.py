"""What a parser hands over: one `Photograph` a labelled image, and a `Problem` for all that does not fit together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from swcl_cli.errors import SwclError

NO_IMAGE = "label without image"
NO_LABEL = "image without label"
NO_MASK = "no mask"
DROPPED = "dropped"
CORRECTED = "corrected"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class About:
    """What `swcl prep list` says of a data set. `size`: of the download; `origin`: a site or paper, in words."""

    title: str
    layout: str
    size: str
    origin: str
    terms: str


@dataclass(frozen=True, slots=True)
class Photograph:
    """One image of the download. `path`, `mask` and `fov` are POSIX and relative to the source.

    Only the mask of a `folder` may be an absolute path: its folder of masks is named apart.
    """

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

    @property
    def labels(self) -> tuple[bool | int | None, ...]:
        return self.abnormal, self.dr_grade, self.dme_grade, self.glaucoma


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

    `draw_validation`: no validation split is published, so a fifth of `train` becomes it. `mask_kind`: what the masks
    show, a key of preparation/masks.py. `square`: photographs are resized to squares. `drop_disagreeing`: photographs
    with equal pixels and other labels are left out.
    """

    source: Path
    published: dict[str, int]
    draw_validation: bool
    mask_kind: str = "vessels"
    square: bool = False
    drop_disagreeing: bool = False
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

    def add(self, photograph: Photograph) -> None:
        self.found[photograph.split] += 1
        self.photographs.append(photograph)

    def drop(self, split: str, path: str, reason: str) -> None:
        """Leaves out a photograph that is here and has a label."""
        self.found[split] += 1
        self.problem(path, DROPPED, reason)

    def without_mask(self, split: str, path: str, mask: str) -> bool:
        """Notes down that the file `mask` of a labelled photograph is missing. True where it is of use all the same:
        a test photograph, which waits for its mask.
        """
        if split == "test":
            self.problem(path, NO_MASK, f"{mask} is missing: it can't be tested on")
            return True
        self.found[split] += 1
        self.problem(path, NO_LABEL, f"{mask} is missing")
        return False

    def problem(self, path: str, problem: str, detail: str) -> None:
        self.problems.append(Problem(path, problem, detail))


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
    """Raises SwclError where this is not a folder, or can't be read."""
    if not source.is_dir():
        raise SwclError(f"{source} is not a folder: SOURCE must name the folder that holds the raw download.")
    try:
        os.scandir(source).close()
    except OSError as error:
        raise SwclError(f"{source} can't be read: {error.strerror}.") from error


def wrong_layout(source: Path, name: str, expected: str) -> SwclError:
    return SwclError(f"{source} does not look like a download of {name}.\nLooked for: {expected}")
