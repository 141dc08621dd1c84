"""Describe a raw download: a `Photograph` for each labelled image, a `Problem` for each image or label without use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from swcl_cli.catalogue.labels import CLASS_LABELS, LABELS, Label
from swcl_cli.catalogue.structures import Structures
from swcl_cli.datasets.links import LEADS_OUT, why_not_followed
from swcl_cli.datasets.names import MACOS, is_hidden
from swcl_cli.datasets.packed import advice
from swcl_cli.datasets.zipped import Member, entries
from swcl_cli.errors import SwclError

NO_IMAGE = "label without image"
NO_LABEL = "image without label"
NO_MASK = "no mask"
DROPPED = "dropped"
CORRECTED = "corrected"
REFUSED = "refused"
IGNORED = "ignored"
SPLITS = ("train", "val", "test")
SPLIT_WORDS = {  # what people call them
    "train": "train", "val": "val", "test": "test",
    "training": "train", "validation": "val", "valid": "val", "testing": "test",
}  # fmt: skip

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Source:
    """Describe a public data set: its name, where to get it, and how to read it.

    title: its name in tables; about: its name in running text. size: of the download, in words; origin: a site or
    paper; page: the address where it is had; layout: the files that SOURCE holds. published: images by split, as the
    publication counts them. prepared_size: pixels of the shorter side of prepared photographs, 0 keeps their own.
    options: settings of `prep` that it alone has; read(source, **options) finds its photographs. lesions: its masks
    show lesions. shared: photographs that another data set holds, too: by its name and its split, pairs of ids, the own
    and the other's. labels: those that it has beside LABELS, described as people's own are. titles: what figures call
    the values 0, 1 ... of a label in LABELS, where this is the data set's matter.
    """

    name: str
    title: str
    about: str
    layout: str
    size: str
    origin: str
    terms: str
    published: Mapping[str, int]
    prepared_size: int
    read: Callable[..., Download]
    page: str = ""
    options: tuple[str, ...] = ()
    lesions: bool = False
    shared: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    labels: tuple[Label, ...] = ()
    titles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class LabelRow(Mapping[str, Value]):
    """Show the labels of a photograph as a mapping. All photographs share the tuple of names, to save memory."""

    __slots__ = ("names", "row")

    def __init__(self, names: tuple[str, ...], row: tuple[Value, ...]) -> None:
        self.names, self.row = names, row

    def __getitem__(self, name: str) -> Value:
        try:
            return self.row[self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Photograph:
    """Describe a photograph of the download. `path`, `mask` and `fov` are POSIX paths relative to the source.

    Only masks of a `folder` may be absolute paths: its folders of masks are named apart. layers: in place of `mask`, of
    each of the download's structures its own mask, None where nothing of it is there. labels: known values by label
    column (catalogue/labels.py).
    """

    image_id: str
    patient_id: str
    split: str
    path: str
    eye: str = "unknown"
    mask: str | None = None
    fov: str | None = None
    layers: tuple[str | None, ...] = ()
    labels: Mapping[str, Value] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[Value, ...]:
        """Return the labels that a classifier can learn, people's own last; None where a label is not known."""
        own = (value for name, value in self.labels.items() if name not in LABELS)
        return *(self.labels.get(name) for name in CLASS_LABELS), *own


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Describe a problem with a file or a label: a line of `quarantine.csv`."""

    source_path: str
    problem: str
    detail: str


@dataclass
class Download:
    """Collect the photographs and problems of a raw download, as its label files describe it.

    `published`: images of each split that the publication counts; `labelled`: labelled images of each split in this
    download, dropped ones too. `draw_validation`: no validation split is published, so a fifth of `train` becomes it.
    `mask_kind`: what the masks show, a key of preparation/masks.py. `structures`: what their values mean, where there
    are several. `nearest`: pixels of masks that have none of the values that masks may have take the nearest of them.
    `square`: photographs are resized to squares.
    `drop_disagreeing`: photographs with equal pixels and different labels are left out. `stops`: why the photographs
    can't be prepared, a sentence each; they are collected, so that quarantine.csv is written all the same. `remarks`:
    what is told on the terminal. `unused`: columns of a public data set's tables that nothing reads, as they are shown.
    `own_labels`: labels beside LABELS, of people's own or of a public set, which all photographs have, if only as None;
    `overview`: of each label name,
    kind, classes with their counts, and how many photographs lack it, for the terminal.
    """

    source: Path
    published: Mapping[str, int]
    draw_validation: bool
    mask_kind: str = "vessels"
    structures: Structures | None = None
    nearest: bool = False
    square: bool = False
    drop_disagreeing: bool = False
    own_splits: bool = False  # people's own, not published ones
    photographs: list[Photograph] = field(default_factory=list)
    labelled: Counter[str] = field(default_factory=Counter)
    label_files: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    unused: dict[str, None] = field(default_factory=dict)
    own_labels: tuple[Label, ...] = ()
    overview: list[tuple[str, str, str, str]] = field(default_factory=list)
    label_names: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)  # each once, in memory

    @property
    def held(self) -> set[str]:
        """List the names of all labels of the photographs."""
        return {name for names in self.label_names for name in names}

    def relative(self, path: Path) -> str:
        """Return a path relative to the source, in POSIX form."""
        return path.relative_to(self.source).as_posix()

    def labels(self, path: Path) -> Path:
        """Add a label file to `label_files`, and return its path.

        Raises SwclError where it is missing or lies outside the source.
        """
        if not path.is_file():
            raise SwclError(f"The label file {path} is missing.")
        require_inside(self.source, path)
        self.label_files.append(self.relative(path))
        return path

    def add(self, photograph: Photograph) -> None:
        """Add a labelled photograph. Its labels become a `LabelRow`: a dictionary each would cost too much memory."""
        if photograph.split not in SPLITS:
            raise ValueError(f"{photograph.path}: the split of a photograph is one of {SPLITS}, not {photograph.split}")
        names = self.label_names.setdefault(names := tuple(photograph.labels), names)
        self.labelled[photograph.split] += 1
        self.photographs.append(replace(photograph, labels=LabelRow(names, tuple(photograph.labels.values()))))

    def drop(self, split: str, path: str, reason: str) -> None:
        """Leave a labelled photograph out: count it, and record a problem with this reason."""
        self.labelled[split] += 1
        self.problem(path, DROPPED, reason)

    def without_mask(self, split: str, path: str, mask: str) -> bool:
        """Record that the file `mask` is missing. Return whether the photograph is used all the same: in `test` only.

        A test photograph can be predicted, and is scored once its mask is there.
        """
        if split == "test":
            self.problem(path, NO_MASK, f"{mask} is missing: it can't be tested on")
            return True
        self.labelled[split] += 1
        self.problem(path, NO_LABEL, f"{mask} is missing")
        return False

    def problem(self, path: str, problem: str, detail: str) -> None:
        """Record a problem, a line of `quarantine.csv`."""
        self.problems.append(Problem(path, problem, detail))

    def ignore(self, path: str) -> None:
        """List a hidden file or folder, or one of macOS: it is no part of the data."""
        name = path.rpartition("/")[2]
        self.problem(path, IGNORED, "notes of macOS" if name == MACOS or name.startswith("._") else "hidden")

    def stop(self, sentence: str) -> None:
        """Record why the photographs can't be prepared."""
        self.stops.append(sentence)

    def remark(self, sentence: str) -> None:
        """Record what is told on the terminal."""
        self.remarks.append(sentence)


def require_inside(source: Path, path: Path) -> None:
    """Check that no link leads out of the source. Raises SwclError."""
    if reason := why_not_followed(source, path):
        outside = "; --follow-links reads it where it stays on the same volume" if reason == LEADS_OUT else ""
        raise SwclError(f"{path} is {reason}, {source}: nothing outside of it is read{outside}.")


def find(source: Path, names: Iterable[str], depth: int) -> Path | None:
    """Find the first of `names` that is in the source or up to `depth` folders below it, the nearest first.

    Raises SwclError where a name is there twice at the same depth.
    """
    for name in names:
        for level in range(depth + 1):
            paths = source.glob("*/" * level + name)
            matches = sorted(path for path in paths if not any(map(is_hidden, path.relative_to(source).parts[:level])))
            if len(matches) > 1:
                raise SwclError(f"{source} holds {name} twice: {matches[0]} and {matches[1]}. Name the one folder.")
            if matches:
                return matches[0]
    return None


def check_source(source: Path) -> None:
    """Check that the source is a folder that can be read. Raises SwclError."""
    if not source.is_dir():
        raise SwclError(
            f"{source} is not a folder: SOURCE must name the folder that holds the raw download, or a .zip or .tar of "
            "it."
        )
    try:
        entries(source)
    except OSError as error:
        raise SwclError(f"{source} can't be read: {error.strerror}.") from error


def wrong_layout(source: Path, name: str, expected: str) -> SwclError:
    """Return the error of a folder that is not a download of this data set. Archives in it are told of."""
    archives = packed_in(source)
    told = f" {archives}" if archives else ""
    return SwclError(f"{source} does not look like a download of {name}.{told}\nLooked for: {expected}")


def packed_in(source: Path) -> str:
    """Say what to do with archives that the source holds; '' where it holds none."""
    archives = advice(source / entry.name for entry in entries(source) if entry.is_file())
    inside = archives and isinstance(source, Member)
    return f"It holds archives itself: unpack {source}, and them." if inside else archives
