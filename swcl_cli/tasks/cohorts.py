"""Choose the photographs that train, validate and test in a run: splits, folds and parts (FACTS E2, E3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.tasks import OWN, Task
from swcl_cli.data import manifest
from swcl_cli.data.photographs import manifest_of
from swcl_cli.data.splits import binned, folds, nested_part, stratifying, validation_groups
from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings, is_own, prep_command
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.number_labels import numbers_of
from swcl_cli.tasks.saved import Study
from swcl_cli.workspace import Workspace

FOLD_SEED = 0  # folds belong to the data set: a photograph validated with one seed is not tested with another


def cohort(task: Task, settings: FinetuneSettings, workspace: Workspace, seed: int, fold: int | None) -> Study:
    """Choose the rows of the manifest by split, in its order; without `test` where --eval is val.

    Of people's own photographs those that can't be learnt are left out. Raises SwclError where a split is empty, there
    are too few patients for the folds, or the kind of task can't learn or judge the rows.
    """
    kind = KINDS[task.kind]
    table = manifest.read(manifest_of(workspace, task.dataset))
    if settings.task == OWN:
        table = table[kind.usable(task, table)].reset_index(drop=True)
    strata, remarks = kind.strata(task), []
    if fold is not None:
        table = table.assign(split=_split_of_fold(task, settings, table, strata, fold))
    elif settings.task == OWN and {*table["split"]} == {"train", "test"}:
        table = table.assign(split=_with_validation(task, table, strata))
        remarks = [f"{task.dataset} has no validation split: a fifth of the patients of train becomes it."]
    if settings.fraction < 1:
        train = table[table["split"] == "train"]
        part = nested_part(train["group_id"], _joint(task, train, strata), settings.fraction, seed, task.dataset)
        table = table[(table["split"] != "train") | table["group_id"].isin(part)]
    splits = manifest.SPLITS if settings.eval == "test" else ("train", "val")
    rows = {split: table[table["split"] == split].reset_index(drop=True) for split in splits}
    if not all(map(len, rows.values())):
        counts = ", ".join(f"{len(part):,} {split}" for split, part in rows.items())
        empty = " or ".join(split for split, part in rows.items() if not len(part))
        tables = ", or the column split of --labels" if is_own(task.dataset) else ""
        raise SwclError(
            f"{task.dataset} has {counts} photographs: each split needs some. Say which are {empty}, by "
            f"{prep_command(task.dataset)} --split-file{tables}; or take --folds 5."
        )
    study = Study(task, settings, workspace, rows, tuple(remarks))
    kind.require(study)
    return study


def _split_of_fold(
    task: Task, settings: FinetuneSettings, table: pd.DataFrame, strata: list[str], fold: int
) -> NDArray[Any]:
    """Return the split names (N,) of a fold: the fold tests, and a grouped fifth of the others validates."""
    _require_enough(task, settings, table, strata)
    if settings.fold_order == "released":
        fold_of = _unshuffled(task, table, strata, settings.folds)
    else:
        by_group = folds(table["group_id"], _joint(task, table, strata), settings.folds, FOLD_SEED, task.dataset)
        fold_of = table["group_id"].map(by_group).to_numpy(dtype=np.int64)
    others = table[fold_of != fold]
    validating = validation_groups(
        others["group_id"], _joint(task, others, strata), FOLD_SEED, f"{task.dataset}, fold {fold}"
    )
    return np.where(fold_of == fold, "test", np.where(table["group_id"].isin(validating), "val", "train"))


def _with_validation(task: Task, table: pd.DataFrame, strata: list[str]) -> NDArray[Any]:
    """Return the split names (N,) of a data set without `val`: a grouped fifth of `train` validates, keyed by name."""
    train = table[table["split"] == "train"]
    chosen = validation_groups(train["group_id"], _joint(task, train, strata), FOLD_SEED, task.dataset)
    becomes = (table["split"] == "train") & table["group_id"].isin(chosen)
    return np.where(becomes, "val", table["split"].to_numpy(dtype=str))


def _unshuffled(task: Task, table: pd.DataFrame, strata: list[str], count: int) -> NDArray[np.int64]:
    """Return the fold (N,) of each row, as the released code assigns folds: in order, stratified, without groups."""
    from sklearn.model_selection import StratifiedKFold

    grades = pd.factorize(_parted(task, table, strata[:1])[strata[0]], sort=True)[0] if strata else [0] * len(table)
    fold_of = np.empty(len(table), np.int64)
    for fold, (_, tested) in enumerate(StratifiedKFold(count).split(grades, grades)):
        fold_of[tested] = fold
    return fold_of


def _require_enough(task: Task, settings: FinetuneSettings, table: pd.DataFrame, columns: list[str]) -> None:
    """Raise SwclError where fewer patients than folds exist, in all or of one of the classes."""
    patients = {"": table["group_id"].nunique()}
    for column in columns:
        if column in task.numbers:
            continue
        grouping = task.groupings.get(column)
        classes = {grade: grouping.words[number] for grade, number in enumerate(grouping.classes)} if grouping else {}
        labels = table[column].map(classes) if grouping else table[column]
        counts = table.groupby(labels)["group_id"].nunique()
        patients |= {f" with {column} = {value}": count for value, count in counts.items()}
    for words, count in patients.items():
        if count < settings.folds:
            raise SwclError(
                f"{task.dataset} has {count:,} patients{words}, too few for --folds {settings.folds}: each fold is to "
                "test one. Take fewer."
            )


def _joint(task: Task, table: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    """Return the labels that folds are stratified on: a tuple for each photograph. Of many of people's own some."""
    parted = _parted(task, table, columns)
    joint = list(parted.itertuples(index=False, name=None)) if columns else [()] * len(table)
    free = task.described
    return stratifying(joint, sum(column not in free for column in columns)) if free else joint


def _parted(task: Task, table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return these columns, with parts of about equal size in place of numbers."""
    numbers = {column: binned(numbers_of(table, column).tolist()) for column in columns if column in task.numbers}
    return table[columns].assign(**numbers)
