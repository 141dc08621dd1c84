"""Which photographs train, validate and test in one run: the data set's splits, folds, and parts (FACTS E2, E3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.tasks import OWN, Task
from swcl_cli.data import manifest
from swcl_cli.data.photographs import manifest_of
from swcl_cli.data.splits import folds, nested_part, validation_groups
from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings, prep_command
from swcl_cli.workspace import Workspace

FOLD_SEED = 0  # folds are a fact of the data set: what was validated with one seed is not tested with another


def cohort(
    task: Task, settings: FinetuneSettings, workspace: Workspace, seed: int, fold: int | None
) -> dict[str, pd.DataFrame]:
    """The rows of the manifest by split, in its order; `test` is not there where validation photographs are scored.

    Of people's own photographs those without a label are left out. Raises SwclError where a split is empty, test
    photographs have no mask, or there are too few for the folds.
    """
    table = manifest.read(manifest_of(workspace, task.dataset))
    columns = list(task.heads) if task.kind == "classification" else ["mask_path"]
    if settings.task == OWN:
        table = table[table[columns].notna().all(axis=1)].reset_index(drop=True)
    strata = columns if task.kind == "classification" else []
    if fold is not None:
        table = table.assign(split=_split_of_fold(task, settings, table, strata, fold))
    if settings.fraction < 1:
        train = table[table["split"] == "train"]
        part = nested_part(train["group_id"], _joint(train, strata), settings.fraction, seed, task.dataset)
        table = table[(table["split"] != "train") | table["group_id"].isin(part)]
    wanted = manifest.SPLITS if settings.eval == "test" else ("train", "val")
    found = {split: table[table["split"] == split].reset_index(drop=True) for split in wanted}
    if not all(map(len, found.values())):
        counts = ", ".join(f"{len(rows):,} {split}" for split, rows in found.items())
        raise SwclError(
            f"{task.dataset} has {counts} photographs: each split needs some. "
            f"See {prep_command(task.dataset)} --split-file."
        )
    if "test" in found and task.kind == "segmentation":
        _require_masks(task, found["test"])
    for head in columns if task.kind == "classification" else ():
        _require_two_classes(task, found, head)
    return found


def absent_classes(task: Task, train: pd.DataFrame) -> list[str]:
    """What can't be learnt, a sentence a head of which a class has no training photograph."""
    found = []
    for head, count in task.heads.items() if task.kind == "classification" else ():
        absent = sorted(set(range(count)) - _classes(task, train, head))
        if absent:
            named = ", ".join(map(str, absent))
            found.append(f"{head}: no training photograph of {task.dataset} has class {named}, so none is predicted.")
    return found


def _classes(task: Task, rows: pd.DataFrame, head: str) -> set[int]:
    grades = dict(enumerate(task.grades.get(head, ())))
    return {grades.get(int(label), int(label)) for label in rows[head].dropna().unique()}


def _require_two_classes(task: Task, found: dict[str, pd.DataFrame], head: str) -> None:
    """In what trains; and in what validates, where one class alone has no measure."""
    for split, rows in found.items():
        classes = _classes(task, rows, head)
        if len(classes) == 1 and (split == "train" or (split == "val" and task.measure == "auc")):
            raise SwclError(
                f"All {len(rows):,} {split} photographs of {task.dataset} have class {classes.pop()} of {head}: two "
                f"classes are needed. See {prep_command(task.dataset)} --split-file, or a larger --fraction."
            )


def _require_masks(task: Task, test: pd.DataFrame) -> None:
    bare = test.loc[test["mask_path"].isna(), "image_id"]
    if len(bare):
        raise SwclError(
            f"{len(bare):,} of {len(test):,} test photographs of {task.dataset} have no mask, such as {bare.iloc[0]}: "
            "they can't be scored. Score the validation photographs with --eval val, or add the masks to the download "
            f"and run: {prep_command(task.dataset)}"
        )


def _split_of_fold(
    task: Task, settings: FinetuneSettings, table: pd.DataFrame, strata: list[str], fold: int
) -> NDArray[Any]:
    """(N,) of split names: the fold tests, a grouped fifth of the others validates."""
    _require_enough(task, settings, table, strata)
    if settings.fold_order == "released":
        fold_of = _unshuffled(table, strata, settings.folds)
    else:
        by_group = folds(table["group_id"], _joint(table, strata), settings.folds, FOLD_SEED, task.dataset)
        fold_of = table["group_id"].map(by_group).to_numpy(dtype=np.int64)
    others = table[fold_of != fold]
    validating = validation_groups(
        others["group_id"], _joint(others, strata), FOLD_SEED, f"{task.dataset}, fold {fold}"
    )
    return np.where(fold_of == fold, "test", np.where(table["group_id"].isin(validating), "val", "train"))


def _unshuffled(table: pd.DataFrame, strata: list[str], count: int) -> NDArray[np.int64]:
    from sklearn.model_selection import StratifiedKFold

    grades = table[strata[0]].to_numpy(dtype=np.int64) if strata else np.zeros(len(table), np.int64)
    fold_of = np.empty(len(table), np.int64)
    for fold, (_, tested) in enumerate(StratifiedKFold(count).split(grades, grades)):
        fold_of[tested] = fold
    return fold_of


def _require_enough(task: Task, settings: FinetuneSettings, table: pd.DataFrame, columns: list[str]) -> None:
    patients = {"": table["group_id"].nunique()}
    for column in columns:
        counts = table.groupby(column)["group_id"].nunique()
        patients |= {f" with {column} = {value}": count for value, count in counts.items()}
    for words, count in patients.items():
        if count < settings.folds:
            raise SwclError(
                f"{task.dataset} has {count:,} patients{words}, too few for --folds {settings.folds}: each fold is to "
                "test one. Take fewer."
            )


def _joint(table: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    """What is stratified on: one tuple of labels a photograph."""
    return list(table[columns].itertuples(index=False, name=None)) if columns else [()] * len(table)
