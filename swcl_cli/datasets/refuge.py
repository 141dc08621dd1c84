"""Search a download of REFUGE: 1,200 photographs in three published parts, with glaucoma, disc and cup (FACTS 3).

Its packagings name folders differently, so images, masks and label tables are found by their own names.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from swcl_cli.datasets.download import NO_LABEL, Download, check_source, wrong_layout
from swcl_cli.datasets.folders import Images, entries_of, walk
from swcl_cli.datasets.names import is_image, stem_of
from swcl_cli.datasets.sheets import read_bytes
from swcl_cli.datasets.tables import Row, read_header, read_table, require_unique
from swcl_cli.errors import SwclError

PUBLISHED = {"train": 400, "val": 400, "test": 400}
NAME = re.compile(r"[gnVT]\d{4}")  # glaucoma or not in the training part; validation; test
PARTS = {"g": "train", "n": "train", "V": "val", "T": "test"}
TRAINING_LABELS = {"g": True, "n": False}
TABLED = ("V", "T")  # parts whose labels stand in tables
LAST = 400  # REFUGE2 numbers its own images on from here, in V and T; they have no labels
PHOTOGRAPHS, MASKS, EITHER = {".jpg", ".jpeg"}, {".bmp"}, {".png"}
GREY = {"1", "L", "P", "I;16"}  # how Pillow calls what can't be a photograph in colour
OF_MASKS = re.compile(r"mask|gt|seg|ground.?truth|annot|label", re.IGNORECASE)  # in the names of folders
TABLES, INDEX = {".xlsx", ".xls", ".csv"}, "index.json"
IMAGE_COLUMN, LABEL_COLUMNS = "ImgName", ("Glaucoma Label", "Label(Glaucoma=1)")
EXPECTED = (
    "Training400/{Glaucoma,Non-Glaucoma}/g0001.jpg, V0001.jpg, T0001.jpg, Disc_Cup_Masks/**/g0001.bmp, and tables with "
    f"{IMAGE_COLUMN} and {' or '.join(LABEL_COLUMNS)}; or REFUGE2/Train/REFUGE1-train, -val, -test; or "
    f"train, val, test with {INDEX}"
)
SIZE = "about 5 GB unpacked"
ORIGIN = "the REFUGE challenge on Grand Challenge (Orlando et al. 2020)"
PAGE = "https://refuge.grand-challenge.org"
TERMS = "see the site; registration"


@dataclass
class Contents:
    """Hold what a search of the download finds: paths of photographs and masks by stem, glaucoma by stem."""

    photographs: dict[str, str] = field(default_factory=dict)
    masks: dict[str, str] = field(default_factory=dict)
    glaucoma: dict[str, bool] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)  # where each label stands


def split_of(stem: str) -> str:
    """Return the split of an image, by the first letter of its name."""
    return PARTS[stem[0]]


def search(download: Download) -> Contents:
    """Find all photographs, masks and labels of REFUGE. Raises SwclError on an image that is there twice or bad labels.

    The training part needs no table: the first letter of a name is its label.
    """
    check_source(download.source)
    contents = Contents()
    for folder in walk(download):
        for entry in entries_of(folder):
            suffix = Path(entry.name).suffix.lower()
            if entry.is_file() and (entry.name == INDEX or suffix in TABLES):
                _read_labels(download, contents, folder / entry.name)
        images = Images(download, folder, ignored=_no_images(folder))
        for name in images.names:
            _note(download, contents, stem_of(name), images.path(name))
    if not contents.photographs:
        raise wrong_layout(download.source, "REFUGE", EXPECTED)
    for stem in contents.photographs:
        if stem[0] in TRAINING_LABELS:
            contents.glaucoma.setdefault(stem, TRAINING_LABELS[stem[0]])
    return contents


def _no_images(folder: Path) -> set[str]:
    """Return the names of files in the folder that are no images: tables, texts, archives."""
    return {entry.name for entry in entries_of(folder) if not is_image(entry.name)}


def _note(download: Download, contents: Contents, stem: str, path: str) -> None:
    suffix = Path(path).suffix.lower()
    if not NAME.fullmatch(stem) or int(stem[1:]) > LAST or suffix not in PHOTOGRAPHS | MASKS | EITHER:
        download.problem(path, NO_LABEL, "not of REFUGE by its name")
        return
    is_mask = suffix in MASKS or (suffix in EITHER and _is_mask(download.source / path, path))
    paths = contents.masks if is_mask else contents.photographs
    if stem in paths:
        raise SwclError(f"{download.source} holds {stem} twice: {paths[stem]} and {path}. Name the one folder.")
    paths[stem] = path


def _is_mask(file: Path, path: str) -> bool:
    """Return whether a PNG is a mask: grey or with a palette by its header; in colour, where its folder says so."""
    from PIL import Image

    with suppress(OSError), file.open("rb") as handle, Image.open(handle, formats=["PNG"]) as image:
        if image.mode in GREY:
            return True
    return OF_MASKS.search(path) is not None


def _read_labels(download: Download, contents: Contents, path: Path) -> None:
    if path.name == INDEX:
        labels = {stem: (value, f"{INDEX} of {path.parent.name}") for stem, value in _index(path).items()}
        download.labels(path)
    else:
        header = read_header(path)
        column = next((column for column in LABEL_COLUMNS if column.casefold() in header), None)
        if column is None or IMAGE_COLUMN.casefold() not in header:
            return
        rows = read_table(download.labels(path), (IMAGE_COLUMN, column))
        rows.remark(download.remarks, download.unused)
        require_unique(rows, IMAGE_COLUMN)
        labels = dict(_label(row, column) for row in rows)
    for stem, (value, where) in labels.items():
        if contents.glaucoma.setdefault(stem, value) != value:
            raise SwclError(f"{stem}: {where} contradicts {contents.rows[stem]} on glaucoma. Remove the wrong one.")
        contents.rows.setdefault(stem, where)


def _label(row: Row, column: str) -> tuple[str, tuple[bool, str]]:
    return stem_of(row.name(IMAGE_COLUMN)), (row.truth(column), str(row))


def _index(path: Path) -> dict[str, bool]:
    """Read the labels of an index.json: {"0": {"ImgName": "g0001.jpg", "Label": 1, ...}, ...}; some lack `Label`."""
    try:
        entries = json.loads(read_bytes(path)).values()
        named = {stem_of(str(entry[IMAGE_COLUMN])): entry.get("Label") for entry in entries}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise SwclError(f"{path} is not an index of REFUGE: {type(error).__name__} {error}.") from error
    wrong = [stem for stem, value in named.items() if value not in (0, 1, None)]
    if wrong:
        raise SwclError(f"{path}, {wrong[0]}: Label {named[wrong[0]]!r} is neither 0 nor 1.")
    return {stem: bool(value) for stem, value in named.items() if value is not None}
