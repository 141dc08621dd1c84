"""Read and write retinal-SWAP as files, in the layout that its authors released: patches/ and labels.csv (FACTS 4).

A row of labels.csv is a pair of left and right patch: id, left-patch, left-score, right-patch, right-score. A patch is
patches/<dataset>_<patient>_<left|right>_<position>.jpg, named without `.jpg` in the table; right eyes are mirrored in
the file. Version 0.1 wrote names with `.jpg`, and rows with empty cells; such folders are read too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from torch.utils.data import Dataset

from swcl_cli.data.columns import SWAP
from swcl_cli.data.images import read_image
from swcl_cli.data.loaders import Key, make_loader
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.preparation.photograph import encode
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.swap.crops import POSITIONS
from swcl_cli.swap.views import patch_of, read_file
from swcl_cli.swap.weak_labels import ABSENT, COLUMN_OF, UNKNOWN, Patches, is_abnormal, label_ids, read_patches
from swcl_cli.workspace import Damaged, fingerprint, read_provenance, require_file, write_text

TABLE, SINGLES, PATCHES = "labels.csv", "singles.csv", "patches"
MARK = ".swcl.json"  # in folders that make-swap wrote: which swap.parquet they hold, how it was made, and the form
FORM = 2  # the authors'; marks of version 0.1, which wrote its own, lack the key
ID_STEP = 2  # their loader labels the right patch of a pair id + 1 where its abnormality is another than the left's
COLUMNS = ("id", "left-patch", "left-score", "right-patch", "right-score")
NAME = r"^(?P<patient_id>.+?)(?:~\d+)?_(?P<eye>left|right)(?:~\d+)?_(?P<position>[^_.]+)\.[A-Za-z]+$"
WITHOUT_SUFFIX = r"(._(?:left|right)(?:~\d+)?_[^_.]+)$"
WRITTEN = re.compile(rf".+_(?:left|right)(?:~\d+)?_(?:{'|'.join(POSITIONS)})\.jpg")  # what a patch's file is called
UNSAFE = re.compile(r"[^\w.\-]")
THRESHOLD = 0.4  # the paper's, for the authors' table, which holds scores alone
TURN = 8  # photographs that a worker writes at a time


def require_ours(folder: Path) -> None:
    """Check that the folder is empty, or was written by `write_released`. Raises SwclError."""
    if folder.exists() and not (folder.is_dir() and ((folder / MARK).is_file() or not any(folder.iterdir()))):
        raise SwclError(f"{folder} is not empty, and make-swap did not write it: name another folder for the patches.")


def is_written(swap: Path, folder: Path) -> bool:
    """Return whether the folder holds all patches of exactly this swap.parquet."""
    return (folder / TABLE).exists() and (folder / MARK).read_bytes() == _mark(swap).encode()


def table_fingerprint(folder: Path) -> str:
    """Return the fingerprint of labels.csv, or of it and singles.csv where the folder has both."""
    if not (folder / SINGLES).exists():
        return fingerprint(folder / TABLE)
    both = fingerprint(folder / TABLE) + fingerprint(folder / SINGLES)
    return hashlib.sha256(both.encode()).hexdigest()[:16]


def write_released(root: Path, swap: Path, folder: Path, workers: int, advance: Callable[[int], None]) -> None:
    """Write the patches of swap.parquet as JPEG (quality 95, 4:4:4; the authors' are at 75, FACTS A9) and labels.csv.

    File names hold the patient where the authors' hold the image, which is the same in their data sets. Their loader
    takes the patient from the second part of a name, as a whole number, so that further photographs of an eye are
    <dataset>_<patient>_<left|right>~1_<position>, ~2, ...; it can't read patients whose ids are no whole numbers, and
    takes all data sets whose names lack `eyepacs` for one. At an empty cell it stops: without a left name there is
    nothing to split, and for a right one it opens `nan.jpg`. A patch without a partner therefore stands in singles.csv,
    with the other cells empty; the authors have none, and their loader doesn't open that file. An eye of unknown side
    is called left. Ids are 0, 2, 4, ..., as theirs. labels.csv comes last. advance: is called with the number of
    patches written. Raises SwclError where the folder is not ours, or a photograph has changed since it was scored.
    """
    require_ours(folder)
    for name in (TABLE, SINGLES):
        (folder / name).unlink(missing_ok=True)
    (folder / PATCHES).mkdir(parents=True, exist_ok=True)
    for path in (folder / PATCHES).iterdir():
        if WRITTEN.fullmatch(path.name):  # others are not ours to remove
            path.unlink()
    write_text(folder / MARK, _mark(swap))
    patches = read_patches(swap, ["position"], None)
    table = _rows(read_columns(swap, SWAP.only(["dataset", "patient_id", "position", "score"])).to_pandas(), patches)
    names = np.full(len(patches), "", object)
    for side, rows in zip(("left", "right"), patches.pairs.T, strict=True):
        names[rows[rows != ABSENT]] = table.loc[rows != ABSENT, f"{side}-patch"] + ".jpg"
    files = _Files(root, folder / PATCHES, patches, pa.array(names, pa.string()))
    for done in make_loader(files, files.batches(), workers):
        advance(int(done.sum()))
    os.sync()
    single = (patches.pairs == ABSENT).any(axis=1)
    if single.any():
        write_text(folder / SINGLES, table[single].to_csv(index=False))
    write_text(folder / TABLE, table[~single].to_csv(index=False))


def _mark(swap: Path) -> str:
    settings = read_provenance(swap)["settings"]
    told = {name: settings[name] for name in ("threshold", *MakeSwapSettings.rules) if name in settings}
    return json.dumps({"swap": fingerprint(swap), **told, "form": FORM})


def read_mark(folder: Path) -> dict[str, Any] | None:
    """Return what the mark of a folder tells that make-swap wrote; None of others, as the authors' download.

    Raises SwclError where it was edited or damaged.
    """
    mark = folder / MARK
    if not os.path.lexists(mark):
        return None
    require_file(mark)
    try:
        told = json.loads(mark.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(mark, f"it can't be read ({type(error).__name__})") from error
    if not isinstance(told, dict):
        raise Damaged(mark, "it is no table of names and values")
    threshold = told.get("threshold", THRESHOLD)
    if not (isinstance(threshold, int | float) and 0 <= threshold <= 1):
        raise Damaged(mark, f"its threshold is {threshold!r}")
    return told


def read_released(folder: Path, labels: Sequence[str], threshold: float | None) -> Patches:
    """Read the authors' download, or a folder of `write_released`; paths are relative to the folder.

    A row is a pair; its patient (with data set) and position are those in the patches' names, which may end in `.jpg`;
    ids are not read. threshold: by default that with which the folder was written, or the paper's 0.4. Only the first
    image is opened. Raises SwclError that names the row where a cell is wrong, or a patch is missing or stands there
    twice, and both known forms where the table is of neither.
    """
    paths = [folder / TABLE, *([folder / SINGLES] if (folder / SINGLES).exists() else [])]
    cells = pd.concat([_cells(path) for path in paths], ignore_index=True)
    if not len(cells):
        raise SwclError(f"{folder / TABLE} lists no patch.")
    table = _checked(folder, cells)
    pairs = np.full(len(cells), ABSENT, np.int64)
    pairs[table.index] = np.arange(len(table))
    if threshold is None:
        threshold = (read_mark(folder) or {}).get("threshold", THRESHOLD)
    table["abnormal"] = is_abnormal(table["score"].to_numpy(np.float32), threshold)
    count, zeros = len(table), np.zeros(len(table), np.int32)
    paths = pa.array(f"{PATCHES}/" + table["patch"], pa.string())
    height, width = read_image(folder / paths[0].as_py(), remedy="unpack the download again").shape[:2]
    if height != width:
        raise SwclError(f"{folder / paths[0].as_py()} is {width} x {height} px: patches are square.")
    return Patches(
        paths.dictionary_encode(),
        zeros,
        zeros,
        np.zeros(count, bool),
        np.zeros(count, bool),
        label_ids(table, [column for label in labels for column in COLUMN_OF[label]]),
        table["abnormal"].to_numpy(),
        np.full(count, UNKNOWN, np.int64),
        pairs.reshape(-1, 2),
        width,
    )


def _cells(path: Path) -> pd.DataFrame:
    """Read labels.csv or singles.csv: `patch` and `score` as text, left before right, `path` and `row` of each.

    patch: the file's name without its folder; of a name of the authors' form, with the `.jpg` that it lacks.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise SwclError(f"{path} is missing: --swap names a folder with {PATCHES}/ and {TABLE}.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SwclError(f"{path} can't be read: {str(error).strip()}") from error
    if lacking := set(COLUMNS[1:]) - set(table.columns):
        raise SwclError(
            f"{path} has no column {', '.join(sorted(lacking))}: it is neither of the authors' form "
            f"({', '.join(COLUMNS)}; patches without .jpg) nor of version 0.1's (the same columns; patches with .jpg)."
        )
    columns = {
        kind: pc.utf8_trim_whitespace(
            pa.array(table[[f"left-{kind}", f"right-{kind}"]].to_numpy(object).ravel(), pa.string())
        )
        for kind in ("patch", "score")
    }
    columns["patch"] = pc.replace_substring_regex(columns["patch"], r"^.*/", "")
    columns["patch"] = pc.replace_substring_regex(columns["patch"], WITHOUT_SUFFIX, r"\1.jpg")
    cells = pd.DataFrame({name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()})
    return cells.assign(row=np.repeat(np.arange(len(table)) + 2, 2), path=str(path))


def _checked(folder: Path, cells: pd.DataFrame) -> pd.DataFrame:
    """Check the cells, and return those that hold a patch, its score as a number, with the parts of its name."""

    def require(good: pd.Series, problem: str) -> None:
        if not good.all():
            first = cells.loc[good[~good].index[0]]
            more = f" ({(~good).sum():,} such cells)" if (~good).sum() > 1 else ""
            raise SwclError(f"{first['path']}, row {first['row']}: {first['patch'] or 'a cell'} {problem}{more}.")

    empty = cells["patch"] == ""
    require(empty == (cells["score"] == ""), "has a score without a patch, or a patch without a score")
    both = empty.to_numpy().reshape(-1, 2).all(axis=1)
    require(pd.Series(~np.repeat(both, 2)), "is empty, and so is the other of its row")
    table = cells[~empty].copy()
    number = pd.to_numeric(table["score"], errors="coerce")
    require((number >= 0) & (number <= 1), "has a score that is no number from 0 to 1")
    table["score"] = number.astype(np.float32)
    parts = pc.extract_regex(pa.array(table["patch"], pa.string()), NAME)
    for column in ("patient_id", "position"):
        table[column] = pc.struct_field(parts, column).to_numpy(zero_copy_only=False)
    require(
        table["position"].notna(),
        "is neither called <dataset>_<image>_<left|right>_<position>, the authors' form, "
        "nor so with .jpg, version 0.1's",
    )
    require(~table["patch"].duplicated(), "stands in an earlier row already")
    group = np.full(len(cells), ABSENT)
    group[table.index] = label_ids(table, ["patient_id", "position"])
    left, right = group.reshape(-1, 2).T
    differ = (left != right) & (left != ABSENT) & (right != ABSENT)
    alike = np.stack([np.ones(len(left), bool), ~differ], axis=1).ravel()
    require(pd.Series(alike), "is of another patient or position than the other of its row")
    place = folder / PATCHES
    files = set(os.listdir(place)) if place.is_dir() else set()
    require(pd.Series([patch in files for patch in table["patch"].to_list()], table.index), f"is missing in {place}")
    return table.assign(dataset="")


def _rows(table: pd.DataFrame, patches: Patches) -> pd.DataFrame:
    """Make the rows of labels.csv, each a pair. table: dataset, patient_id, position and score of the patches."""
    left, right = patches.pairs.T
    named = table.iloc[np.where(left == ABSENT, right, left)].reset_index(drop=True)
    turn = named.groupby(["dataset", "patient_id", "position"]).cumcount()
    further = ("~" + turn.astype(str)).where(turn > 0, "")
    patient = named["dataset"] + "_" + named["patient_id"].map(_safe)
    single = (patches.pairs == ABSENT).any(axis=1)
    place = np.where(single, (~single).sum() + np.cumsum(single) - 1, np.cumsum(~single) - 1)  # singles come after
    columns: dict[str, Any] = {"id": ID_STEP * place}
    for side, rows in (("left", left), ("right", right)):
        present = pd.Series(rows != ABSENT)
        columns[f"{side}-patch"] = (patient + f"_{side}" + further + "_" + named["position"]).where(present, "")
        columns[f"{side}-score"] = pd.Series(table["score"].to_numpy()[rows]).astype(str).where(present, "")
    return pd.DataFrame(columns)


def _safe(patient: str) -> str:
    """Write a patient's id as a part of a file name; different ids stay different."""
    return UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), patient)


class _Files(Dataset[int]):
    """Write all patches of a photograph, which is read once: (0, item) -> their number. A data set, to use workers."""

    def __init__(self, root: Path, folder: Path, patches: Patches, names: pa.StringArray) -> None:
        self.root, self.folder, self.patches, self.names = root, folder, patches, names
        photograph = patches.path.indices.to_numpy()
        self.rows = np.argsort(photograph, kind="stable")
        starts = np.flatnonzero(np.diff(photograph[self.rows], prepend=-1))
        self.bounds = np.append(starts, len(patches))

    def batches(self) -> Iterator[list[Key]]:
        """Yield the keys of all photographs, TURN at a time."""
        count = len(self.bounds) - 1
        return ([(0, item) for item in range(first, min(first + TURN, count))] for first in range(0, count, TURN))

    def __getitem__(self, key: Key) -> int:
        rows = self.rows[self.bounds[key[1]] : self.bounds[key[1] + 1]]
        image = read_file(self.root, self.patches, rows[0])
        for row in rows:
            patch = Image.fromarray(patch_of(image, self.patches, row))
            (self.folder / self.names[row].as_py()).write_bytes(encode(patch, lossless=False))
        return len(rows)
