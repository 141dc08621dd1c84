"""Read and write retinal-SWAP as files, in the layout that its authors released: patches/ and labels.csv (FACTS 4).

A row of labels.csv is a pair of left and right patch: id, left-patch, left-score, right-patch, right-score. A patch is
patches/<dataset>_<patient>_<left|right>_<position>.jpg; right eyes are mirrored in the file.
"""

from __future__ import annotations

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
import pyarrow.parquet as pq
from PIL import Image
from torch.utils.data import Dataset

from swcl_cli.data.images import read_image
from swcl_cli.data.loaders import Key, make_loader
from swcl_cli.errors import SwclError
from swcl_cli.preparation.photograph import encode
from swcl_cli.swap.views import patch_of, read_file
from swcl_cli.swap.weak_labels import ABSENT, COLUMN_OF, UNKNOWN, Patches, is_abnormal, label_ids, read_patches
from swcl_cli.workspace import fingerprint, read_provenance, remove_tree, write_text

TABLE, PATCHES = "labels.csv", "patches"
MARK = ".swcl.json"  # in folders that make-swap wrote: which swap.parquet they hold, and its threshold
COLUMNS = ("id", "left-patch", "left-score", "right-patch", "right-score")
NAME = r"^(?P<patient_id>.+?)(?:~\d+)?_(?P<eye>left|right)_(?P<position>[^_.]+)\.[A-Za-z]+$"
UNSAFE = re.compile(r"[^\w.\-]")
THRESHOLD = 0.4  # the paper's, for the authors' table, which holds scores alone
TURN = 8  # photographs that a worker writes at a time


def require_ours(folder: Path) -> None:
    """Check that the folder is empty, or was written by `write_released`. Raises SwclError."""
    if folder.exists() and not (folder.is_dir() and ((folder / MARK).exists() or not any(folder.iterdir()))):
        raise SwclError(f"{folder} is not empty, and make-swap did not write it: name another folder for the patches.")


def is_written(swap: Path, folder: Path) -> bool:
    """Return whether the folder holds all patches of exactly this swap.parquet."""
    return (folder / TABLE).exists() and (folder / MARK).read_text(encoding="utf-8") == _mark(swap)


def write_released(root: Path, swap: Path, folder: Path, workers: int, advance: Callable[[int], None]) -> None:
    """Write the patches of swap.parquet as JPEG (quality 95, 4:4:4; the authors' are at 75, FACTS A9) and labels.csv.

    File names hold the patient where the authors' hold the image, which is the same in their data sets; further
    photographs of an eye are <patient>~1, ~2, ...; an eye of unknown side is called left. A patch without a partner
    leaves the other cells empty. labels.csv comes last. advance: is called with the number of patches written. Raises
    SwclError where the folder is not ours, or a photograph has changed since it was scored.
    """
    require_ours(folder)
    (folder / TABLE).unlink(missing_ok=True)
    remove_tree(folder / PATCHES)
    write_text(folder / MARK, _mark(swap))
    (folder / PATCHES).mkdir()
    patches = read_patches(swap, ["position"], None)
    table = _rows(pq.read_table(swap, columns=["dataset", "patient_id", "position", "score"]).to_pandas(), patches)
    names = np.full(len(patches), "", object)
    for side, rows in zip(("left", "right"), patches.pairs.T, strict=True):
        names[rows[rows != ABSENT]] = table.loc[rows != ABSENT, f"{side}-patch"]
    files = _Files(root, folder / PATCHES, patches, pa.array(names, pa.string()))
    for done in make_loader(files, files.batches(), workers):
        advance(int(done.sum()))
    os.sync()
    write_text(folder / TABLE, table.to_csv(index=False))


def _mark(swap: Path) -> str:
    return json.dumps({"swap": fingerprint(swap), "threshold": read_provenance(swap)["settings"]["threshold"]})


def read_released(folder: Path, labels: Sequence[str], threshold: float | None) -> Patches:
    """Read the authors' download, or a folder of `write_released`; paths are relative to the folder.

    A row is a pair; its patient (with data set) and position are those in the patches' names. threshold: by default
    that with which the folder was written, or the paper's 0.4. Only the first image is opened. Raises SwclError that
    names the row where a cell is wrong, or a patch is missing or stands there twice.
    """
    path = folder / TABLE
    cells = _cells(path)
    table = _checked(path, cells)
    pairs = np.full(len(cells), ABSENT, np.int64)
    pairs[table.index] = np.arange(len(table))
    mark = folder / MARK
    if threshold is None:
        threshold = json.loads(mark.read_text(encoding="utf-8"))["threshold"] if mark.exists() else THRESHOLD
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
    """Read labels.csv: `patch` (without folder) and `score` as text, left before right, and the `row` of each."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise SwclError(f"{path} is missing: --swap names a folder with {PATCHES}/ and {TABLE}.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise SwclError(f"{path} can't be read: {str(error).strip()}") from error
    if lacking := set(COLUMNS[1:]) - set(table.columns):
        raise SwclError(f"{path} has no column {', '.join(sorted(lacking))}.")
    if not len(table):
        raise SwclError(f"{path} lists no patch.")
    columns = {
        kind: pc.utf8_trim_whitespace(
            pa.array(table[[f"left-{kind}", f"right-{kind}"]].to_numpy(object).ravel(), pa.string())
        )
        for kind in ("patch", "score")
    }
    columns["patch"] = pc.replace_substring_regex(columns["patch"], r"^.*/", "")
    cells = pd.DataFrame({name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()})
    return cells.assign(row=np.repeat(np.arange(len(table)) + 2, 2))


def _checked(path: Path, cells: pd.DataFrame) -> pd.DataFrame:
    """Check the cells, and return those that hold a patch, its score as a number, with the parts of its name."""

    def require(good: pd.Series, problem: str) -> None:
        if not good.all():
            first = cells.loc[good[~good].index[0]]
            more = f" ({(~good).sum():,} such cells)" if (~good).sum() > 1 else ""
            raise SwclError(f"{path}, row {first['row']}: {first['patch'] or 'a cell'} {problem}{more}.")

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
    require(table["position"].notna(), "is not called <dataset>_<image>_<left|right>_<position>.jpg")
    require(~table["patch"].duplicated(), "stands in an earlier row already")
    place = np.full(len(cells), ABSENT)
    place[table.index] = label_ids(table, ["patient_id", "position"])
    left, right = place.reshape(-1, 2).T
    differ = (left != right) & (left != ABSENT) & (right != ABSENT)
    alike = np.stack([np.ones(len(left), bool), ~differ], axis=1).ravel()
    require(pd.Series(alike), "is of another patient or position than the other of its row")
    folder = path.parent / PATCHES
    files = set(os.listdir(folder)) if folder.is_dir() else set()
    require(pd.Series([patch in files for patch in table["patch"].to_list()], table.index), f"is missing in {folder}")
    return table.assign(dataset="")


def _rows(table: pd.DataFrame, patches: Patches) -> pd.DataFrame:
    """Make the rows of labels.csv, each a pair. table: dataset, patient_id, position and score of the patches."""
    left, right = patches.pairs.T
    named = table.iloc[np.where(left == ABSENT, right, left)].reset_index(drop=True)
    turn = named.groupby(["dataset", "patient_id", "position"]).cumcount()
    further = ("~" + turn.astype(str)).where(turn > 0, "")
    place = named["dataset"] + "_" + named["patient_id"].map(_safe) + further
    columns: dict[str, Any] = {"id": place + "_" + named["position"]}
    for side, rows in (("left", left), ("right", right)):
        present = pd.Series(rows != ABSENT)
        columns[f"{side}-patch"] = (place + f"_{side}_" + named["position"] + ".jpg").where(present, "")
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
