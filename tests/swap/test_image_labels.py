"""Labels of photographs for their patches: from swap.parquet, else from the manifest, by path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swcl_cli.data import manifest
from swcl_cli.errors import SwclError
from swcl_cli.swap.image_labels import image_labels
from swcl_cli.workspace import Workspace, fingerprint
from tests import prepared


def patches(root: Path, rows: list[tuple[str, str, bool | None]]) -> Path:
    """Two patches each of these photographs: data set, path, image_abnormal."""
    table = pd.DataFrame(
        [
            {"dataset": dataset, "path": path, "image_abnormal": abnormal, "patient_id": path, "eye": "left",
             "position": position}
            for dataset, path, abnormal in rows
            for position in ("tl", "c")
        ]
    )  # fmt: skip
    return prepared.swap(root, table.sample(frac=1, random_state=1).sort_values("position", kind="stable"))


def by_path(root: Path, swap: Path) -> dict[str, set[int]]:
    label, _ = image_labels(Workspace(root), swap)
    paths = pd.read_parquet(swap)["path"]
    return {path: set(label[paths == path].tolist()) for path in paths.unique()}


def test_what_swap_says_is_taken_without_any_manifest(tmp_path: Path) -> None:
    swap = patches(tmp_path, [("odir", "a", True), ("odir", "b", False), ("odir", "c", True)])
    assert by_path(tmp_path, swap) == {"a": {1}, "b": {0}, "c": {1}}
    label, inputs = image_labels(Workspace(tmp_path), swap)
    assert label.dtype == np.int8 and inputs == {}


def test_grades_come_from_the_manifest_by_path_not_by_order(tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "eyepacs", 3, abnormal=None)
    prepared.change(tmp_path, "eyepacs", dr_grade=[0, 1, 4, None, 2, 0])
    prepared.labelled_eyes(tmp_path, "folder", 1, dr_grade=0)  # normal and abnormal: its own word counts, not the grade
    table = manifest.read(Workspace(tmp_path).manifest("eyepacs"))
    other = manifest.read(Workspace(tmp_path).manifest("folder"))
    grades = dict(table.set_index("path")["dr_grade"])
    known = {path: -1 if pd.isna(grade) else int(grade > 0) for path, grade in grades.items()}
    known |= dict(other.set_index("path")["abnormal"].astype(int))
    paths = {"eyepacs": [*table["path"], "gone"], "folder": other["path"]}
    unlabelled = [(dataset, path, None) for dataset, listed in paths.items() for path in listed]
    swap = patches(tmp_path, [*unlabelled, ("odir", "a", True)])
    assert by_path(tmp_path, swap) == {path: {value} for path, value in {**known, "a": 1, "gone": -1}.items()}
    assert sorted(known.values()) == [-1, 0, 0, 0, 1, 1, 1, 1]
    _, inputs = image_labels(Workspace(tmp_path), swap)
    assert inputs == {name: fingerprint(Workspace(tmp_path).manifest(name)) for name in ("eyepacs", "folder")}


def test_a_path_counts_in_its_own_data_set_alone(tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "eyepacs", 1, abnormal=None, dr_grade=1)
    path = manifest.read(Workspace(tmp_path).manifest("eyepacs"))["path"][0]
    prepared.labelled_eyes(tmp_path, "folder", 1, abnormal=None)
    swap = patches(tmp_path, [("folder", path, None), ("odir", "a", False)])
    assert by_path(tmp_path, swap) == {path: {-1}, "a": {0}}


def test_errors(tmp_path: Path) -> None:
    swap = patches(tmp_path, [("odir", "a", True), ("eyepacs", "b", None)])
    with pytest.raises(SwclError, match="eyepacs/manifest.parquet is missing. Make it with: swcl prep eyepacs SOURCE"):
        image_labels(Workspace(tmp_path), swap)
    prepared.labelled_eyes(tmp_path, "eyepacs", 1, abnormal=None)
    swap = patches(tmp_path, [("eyepacs", "b", None)])
    with pytest.raises(SwclError, match="None of the 2 patches in .* nor the manifest of eyepacs says which are abnor"):
        image_labels(Workspace(tmp_path), swap)
