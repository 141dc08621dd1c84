"""Which photographs a run trains, validates and tests with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedKFold

from swcl_cli.chance import generator
from swcl_cli.data import manifest
from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.cohorts import cohort
from swcl_cli.tasks.own import task_of
from swcl_cli.workspace import Workspace

PAIRS = 11  # of 1,196 photographs: duplicates under two names


def write(root: Path, dataset: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A manifest alone: photographs are not looked at."""
    path = Workspace(root).manifest(dataset)
    unseen = {"eye": "unknown", "width": 8, "height": 8, "checksum": 0, "source_path": "x", "source_hash": "0" * 64}
    named = [
        {
            "dataset": dataset, "split": "train", "image_id": f"{item:04}", "patient_id": f"{item:04}",
            "group_id": f"{item:04}", "path": f"{item:04}.png", **unseen, **row,
        }
        for item, row in enumerate(rows)
    ]  # fmt: skip
    manifest.write(
        path,
        sorted(named, key=lambda row: manifest.order(row["split"], row["image_id"])),
        {"step": "prep", "settings": {}},
    )
    return manifest.read(path)


def messidor(root: Path) -> pd.DataFrame:
    """Grades follow the hospital: the first third is graver; 11 duplicates at the end are of photographs before."""
    rng = generator(0, "grades")
    rows: list[dict[str, Any]] = []
    for item in range(1196):
        grave = 0.8 if item < 400 else 0.4
        grade = int(rng.choice(4, p=[1 - grave, *[grave / 3] * 3]))
        rows.append({"dr_grade": grade, "dme_grade": int(rng.integers(0, 3)) if grade else 0})
    for item in range(PAIRS):
        rows[-1 - item] = {**rows[100 * item], "group_id": f"{100 * item:04}"}
    return write(root, "messidor", rows)


def settings(root: Path, task: str = "messidor", **values: Any) -> FinetuneSettings:
    return FinetuneSettings(task=task, workspace=root, **{"folds": 5 if task == "messidor" else 0, **values})


def split(chosen: FinetuneSettings, fold: int | None = None, seed: int = 0) -> dict[str, pd.DataFrame]:
    workspace = Workspace(chosen.workspace)
    return dict(cohort(task_of(chosen, workspace), chosen, workspace, seed, fold).rows)


def names(rows: pd.DataFrame) -> set[str]:
    return set(rows["image_id"])


@pytest.mark.parametrize("order", ["keyed", "released"])
def test_folds_of_messidor_test_each_photograph_once(tmp_path: Path, order: str) -> None:
    table = messidor(tmp_path)
    folds = [split(settings(tmp_path, fold_order=order), fold) for fold in range(5)]
    tested = Counter(image for parts in folds for image in parts["test"]["image_id"])
    assert len(tested) == 1196 and set(tested.values()) == {1}
    for parts in folds:
        assert sum(map(len, parts.values())) == 1196 and set().union(*map(names, parts.values())) == names(table)
        share = len(parts["val"]) / (len(parts["train"]) + len(parts["val"]))
        assert share == pytest.approx(0.2, abs=0.01)
        assert not set(parts["train"]["group_id"]) & set(parts["val"]["group_id"])
    assert len({frozenset(names(parts["val"])) for parts in folds}) == 5
    straddling = [
        set(parts["test"]["group_id"]) & {*parts["train"]["group_id"], *parts["val"]["group_id"]} for parts in folds
    ]
    assert any(straddling) == (order == "released")


def test_folds_are_stratified_on_the_joint_grade_and_mix_the_hospitals(tmp_path: Path) -> None:
    table = messidor(tmp_path)
    whole = Counter(zip(table["dr_grade"], table["dme_grade"], strict=True))
    first = set(table["image_id"][:400])
    for fold in range(5):
        parts = split(settings(tmp_path), fold)
        for name, share in (("test", 0.2), ("val", 0.16), ("train", 0.64)):
            found = Counter(zip(parts[name]["dr_grade"], parts[name]["dme_grade"], strict=True))
            assert all(abs(found[grades] - share * whole[grades]) <= 3 for grades in whole)
        assert 0.25 < len(names(parts["test"]) & first) / len(parts["test"]) < 0.42


def test_folds_as_released_follow_the_order_of_the_data_set(tmp_path: Path) -> None:
    table = messidor(tmp_path)
    grades = table["dr_grade"].to_numpy(dtype=int)
    theirs = [tested for _, tested in StratifiedKFold(5).split(grades, grades)]
    for fold, tested in enumerate(theirs):
        parts = split(settings(tmp_path, fold_order="released"), fold)
        assert names(parts["test"]) == set(table["image_id"].iloc[tested])


def test_folds_are_the_same_for_all_seeds(tmp_path: Path) -> None:
    """Else what the grid was chosen on with the first seed is tested with another."""
    messidor(tmp_path)
    first, second = (split(settings(tmp_path, seed=seed), 2, seed) for seed in (0, 7))
    assert all(first[name].equals(second[name]) for name in manifest.SPLITS)


def test_without_folds_the_splits_are_those_of_the_data_set(tmp_path: Path) -> None:
    rows = [{"split": name, "mask_path": "m.png"} for name in ("train", "val", "test", "train")]
    table = write(tmp_path, "drive", rows)
    parts = split(settings(tmp_path, "drive"))
    assert list(parts) == ["train", "val", "test"]
    for name, part in parts.items():
        assert part.equals(table[table["split"] == name].reset_index(drop=True))


def idrid(root: Path, **columns: Any) -> pd.DataFrame:
    """Two eyes a patient; 160 train, 40 validate, 40 test."""
    rows = [
        {
            "split": "train" if item < 160 else "val" if item < 200 else "test",
            "patient_id": f"{item // 2}",
            "group_id": f"{item // 2}",
            "dr_grade": item // 2 % 5,
            "dme_grade": item // 2 % 5 // 3,
            **{name: column[item] for name, column in columns.items()},
        }
        for item in range(240)
    ]
    return write(root, "idrid", rows)


def test_a_fraction_is_of_train_alone_stratified_grouped_and_nested(tmp_path: Path) -> None:
    idrid(tmp_path)
    whole = split(settings(tmp_path, "idrid"))
    before: set[str] = set()
    for fraction in (0.1, 0.2, 0.5, 1.0):
        parts = split(settings(tmp_path, "idrid", fraction=fraction))
        assert parts["val"].equals(whole["val"]) and parts["test"].equals(whole["test"])
        train = parts["train"]
        assert len(train) == round(160 * fraction) and before < names(train) <= names(whole["train"])
        assert set(Counter(train["group_id"]).values()) == {2}
        found, of = (Counter(part["dr_grade"]) for part in (train, whole["train"]))
        assert all(abs(found[grade] - fraction * of[grade]) <= 2 for grade in of)
        before = names(train)
    first, second = (split(settings(tmp_path, "idrid", fraction=0.1), seed=seed)["train"] for seed in (0, 1))
    assert names(first) != names(second)


def test_a_fraction_of_a_fold(tmp_path: Path) -> None:
    messidor(tmp_path)
    whole, part = (split(settings(tmp_path, fraction=fraction), 1) for fraction in (1.0, 0.25))
    assert part["val"].equals(whole["val"]) and part["test"].equals(whole["test"])
    assert names(part["train"]) < names(whole["train"])
    assert len(part["train"]) == pytest.approx(len(whole["train"]) / 4, abs=4)


class TestBadInput:
    def test_missing_test_masks_name_the_way_out(self, tmp_path: Path) -> None:
        rows = [{"split": name, "mask_path": None if name == "test" else "m.png"} for name in manifest.SPLITS]
        write(tmp_path, "drive", rows)
        with pytest.raises(SwclError, match="1 of 1 test photographs of drive have no mask.*--eval val.*prep drive"):
            split(settings(tmp_path, "drive"))
        assert list(split(settings(tmp_path, "drive", eval="val"))) == ["train", "val"]

    @pytest.mark.parametrize("empty", manifest.SPLITS)
    def test_an_empty_split(self, tmp_path: Path, empty: str) -> None:
        rows = [{"split": name, "mask_path": "m.png"} for name in manifest.SPLITS if name != empty]
        write(tmp_path, "drive", rows)
        with pytest.raises(SwclError, match=f"drive has .*0 {empty}.* photographs: each split needs.*--split-file"):
            split(settings(tmp_path, "drive"))

    def test_fewer_patients_than_folds(self, tmp_path: Path) -> None:
        rows = [{"group_id": f"{item % 4}", "dr_grade": 3 * (item % 2), "dme_grade": 0} for item in range(12)]
        write(tmp_path, "messidor", rows)
        with pytest.raises(SwclError, match="messidor has 4 patients, too few for --folds 5: each fold"):
            split(settings(tmp_path), 0)
        with pytest.raises(SwclError, match="messidor has 2 patients with dr_grade = (0-1|2-3), too few for --folds 3"):
            split(settings(tmp_path, folds=3), 0)

    def test_a_class_smaller_than_the_folds(self, tmp_path: Path) -> None:
        rows = [{"dr_grade": 3 if item < 4 else 0, "dme_grade": item % 3} for item in range(40)]
        write(tmp_path, "messidor", rows)
        for order in ("keyed", "released"):
            with pytest.raises(SwclError, match="messidor has 4 patients with dr_grade = 2-3, too few for --folds 5"):
                split(settings(tmp_path, fold_order=order), 0)

    def test_grades_of_one_class_count_together(self, tmp_path: Path) -> None:
        """A rare grade is no rare class: 2 of grade 3 with 10 of grade 2 are in each of 5 folds."""
        rows = [{"dr_grade": 3 if item < 2 else 2 if item < 12 else 0, "dme_grade": item % 3} for item in range(40)]
        write(tmp_path, "messidor", rows)
        assert all(len(split(settings(tmp_path), fold)["test"]) for fold in range(5))

    def test_a_class_without_a_training_photograph(self, tmp_path: Path) -> None:
        idrid(
            tmp_path, dr_grade=[item % 3 for item in range(200)] + [4] * 40, dme_grade=[item % 3 for item in range(240)]
        )
        chosen, workspace = settings(tmp_path, "idrid"), Workspace(tmp_path)
        study = cohort(task_of(chosen, workspace), chosen, workspace, 0, None)
        assert KINDS["classification"].cautions(study) == [
            "dr_grade: no training photograph of idrid has class 3, 4, so none is predicted."
        ]

    def test_grades_that_are_one_class(self, tmp_path: Path) -> None:
        """Messidor's grades 0 and 1 are class 0."""
        write(tmp_path, "messidor", [{"dr_grade": item % 2, "dme_grade": item % 3} for item in range(60)])
        with pytest.raises(SwclError, match="All 3. train photographs of messidor have class 0 of dr_grade: two"):
            split(settings(tmp_path), 0)

    def test_one_class_can_not_be_validated_by_auc(self, tmp_path: Path) -> None:
        rows = [
            {"split": ("train", "val", "test")[item % 3], "glaucoma": item % 3 == 0 and item % 2 == 0}
            for item in range(60)
        ]
        write(tmp_path, "refuge-cls", rows)
        with pytest.raises(SwclError, match="All 20 val photographs of refuge-cls have class 0 of glaucoma"):
            split(settings(tmp_path, "refuge-cls"))

    def test_not_prepared(self, tmp_path: Path) -> None:
        with pytest.raises(SwclError, match="messidor/manifest.parquet is missing. Make it with: swcl prep messidor"):
            split(settings(tmp_path), 0)


def test_of_own_photographs_those_without_a_label_are_left_out(tmp_path: Path) -> None:
    labels = np.arange(60) % 2 == 0
    rows = [
        {"split": ("train", "val", "test")[item % 3], "abnormal": bool(labels[item]) if item % 5 else None}
        for item in range(60)
    ]
    write(tmp_path, "folder", rows)
    parts = split(settings(tmp_path, "folder", heads=["abnormal"]))
    assert sum(map(len, parts.values())) == 48 and not any(part["abnormal"].isna().any() for part in parts.values())
