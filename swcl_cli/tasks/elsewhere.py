"""Find out what a data set that a model was not trained on says of the model's labels or structures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.catalogue.labels import CLASSES, GRADES, JOINT, LABELS, NUMBER, PATIENT, SEVERAL, Label, primary
from swcl_cli.catalogue.structures import Structures
from swcl_cli.catalogue.tasks import CLASSIFICATION, OWN, SEGMENTATION, TASKS, Task
from swcl_cli.data import manifest
from swcl_cli.datasets.label_cells import key_of, quoted
from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings, prep_command
from swcl_cli.tasks.classification import OF_PATIENTS, THRESHOLDS
from swcl_cli.tasks.number_labels import NUMBERS
from swcl_cli.tasks.own import MASK
from swcl_cli.tasks.saved import Description, Study
from swcl_cli.tasks.segmentation import structures_of
from swcl_cli.tasks.thresholds import KEY
from swcl_cli.workspace import Workspace

SPLIT = "test"  # of all photographs of the data set: none of them trained


@dataclass(frozen=True)
class Elsewhere:
    """Hold a model's task on another data set: its photographs as the split `test`, with labels as the model has them.

    study: None where the data set has none of the labels; remarks: what was left out, a sentence each.
    """

    table: pd.DataFrame
    study: Study | None
    remarks: tuple[str, ...]


def task_elsewhere(model: Description, dataset: str, table: pd.DataFrame, workspace: Workspace) -> Elsewhere:
    """Match the model's labels, or structures, with those of a data set, by their names.

    table: rows of its manifest. Raises SwclError where classes or structures of one name have nothing in common.
    """
    if model.kind == SEGMENTATION:
        return _masks(model, dataset, table, workspace)
    remarks: list[str] = []
    held = {label.name.casefold(): label.learnt for label in manifest.read_labels(workspace.manifest(dataset))}
    own: dict[str, Label] = {}
    rows = table.copy()
    for head in model.heads:
        theirs = held.get(head.casefold())
        if theirs is None or not table[theirs.name].notna().any():
            continue
        label = _label(model, head, theirs)
        if absent := int(table[theirs.name].isna().sum()):
            remarks.append(f"{dataset}: {absent:,} of {len(table):,} photographs have no {theirs.name}: not scored.")
        values = _as_the_model_has_them(model, label, table[theirs.name], theirs, dataset, remarks)
        if values.notna().any():
            own[head], rows[head] = label, values
    if not own:
        return Elsewhere(table, None, tuple(remarks))
    named = model.facts.get("classes", {})
    learnt = {head: LABELS[head] if head in LABELS and head not in named else label for head, label in own.items()}
    measure = TASKS[model.task].measure if model.task in TASKS and model.task != OWN else primary(learnt)
    heads = {head: model.heads[head] for head in own}
    task = Task(model.task, dataset, CLASSIFICATION, heads, measure, model.task, {}, own=own)
    return Elsewhere(table, _study(task, workspace, rows, _thresholds(model, own)), tuple(remarks))


def _study(task: Task, workspace: Workspace, rows: pd.DataFrame, thresholds: dict[str, Any] | None = None) -> Study:
    settings = FinetuneSettings(task=OWN, data=task.dataset, workspace=workspace.root)
    return Study(task, settings, workspace, {SPLIT: rows.reset_index(drop=True)}, thresholds=thresholds)


def _thresholds(model: Description, heads: Sequence[str] | dict[str, Label]) -> dict[str, Any]:
    """Return the thresholds that the models' validation chose; None of a head that has none."""
    several, single = model.facts.get(THRESHOLDS, {}), model.facts.get(KEY, {})
    return {head: np.array(several[head]) if head in several else single.get(head) for head in heads}


def _label(model: Description, head: str, theirs: Label) -> Label:
    """Describe a head as people's own labels are. Of which kind named classes are the data set says."""
    of: Any = PATIENT if head in model.facts.get(OF_PATIENTS, ()) else "photograph"
    if head in model.facts.get(NUMBERS, {}):
        return Label(head, NUMBER, head, of=of)
    names = tuple(model.facts.get("classes", {}).get(head, ()))
    if head in model.facts.get(SEVERAL, ()):
        return Label(head, SEVERAL, head, of=of, names=names)
    if not names:
        joined = dict(model.facts["grades"]).get(head, range(model.heads[head]))
        members = [[str(grade) for grade, cls in enumerate(joined) if cls == number] for number in sorted({*joined})]
        return Label(head, GRADES, head, of=of, names=tuple(map(" or ".join, members)))
    return Label(head, GRADES if theirs.is_graded else CLASSES, head, of=of, names=names)


def _as_the_model_has_them(
    model: Description, label: Label, values: pd.Series, theirs: Label, dataset: str, remarks: list[str]
) -> pd.Series:
    """Return the labels (N,) in the model's own names, null where there is none, or the model never learnt the class.

    What is left out is added to the remarks. Raises SwclError where no class is one of the model's.
    """
    if (label.kind == NUMBER) != (theirs.kind == NUMBER) or (label.kind == SEVERAL) != (theirs.kind == SEVERAL):
        remarks.append(f"{dataset}: {theirs.name} is of the kind {theirs.kind}, not as the model's: it is not scored.")
        return pd.Series([None] * len(values), values.index, dtype=object)
    if label.kind == NUMBER:
        return values
    if label.kind == SEVERAL:
        return _signs(label, values, theirs, dataset, remarks)
    numbered = not model.facts.get("classes", {}).get(label.name)
    known = {key_of(name): name for name in label.names}
    if numbered:  # grades, of which several may be one class
        joined = dict(model.facts["grades"]).get(label.name, range(model.heads[label.name]))
        known = {str(grade): label.names[number] for grade, number in enumerate(joined)}
    texts = [None if pd.isna(value) else str(int(value)) if theirs.kind in ("binary", "grade") else str(value)
             for value in values]  # fmt: skip
    mapped = [None if text is None else known.get(key_of(text)) for text in texts]
    foreign = Counter(text for text, name in zip(texts, mapped, strict=True) if text is not None and name is None)
    if foreign:
        told = ", ".join(f"'{name}' ({count:,})" for name, count in sorted(foreign.items()))
        remarks.append(
            f"{dataset}: {foreign.total():,} photographs have classes of {label.name} that the model never learnt, "
            f"{told}: they are left out of its scores. It knows {', '.join(label.names)}; where one is another name of "
            f"these, rename it in the table and run `{prep_command(dataset)}` again."
        )
    if not any(mapped):
        raise SwclError(
            f"{dataset}: no photograph has a class of {label.name} that the model learnt: {', '.join(label.names)}; "
            f"there are {quoted(sorted(foreign))}. Rename them in the table and run `{prep_command(dataset)}` again."
        )
    return pd.Series(mapped, values.index, dtype=object)


def _signs(label: Label, values: pd.Series, theirs: Label, dataset: str, remarks: list[str]) -> pd.Series:
    """Return signs joined in the model's names and order; null of all, where the data set does not know one of them."""
    keys = {key_of(name): name for name in label.names}
    if lacking := [name for key, name in keys.items() if key not in set(map(key_of, theirs.names))]:
        remarks.append(f"{dataset}: {theirs.name} does not say {quoted(lacking)}, which the model tells: not scored.")
        return pd.Series([None] * len(values), values.index, dtype=object)
    if foreign := [name for name in theirs.names if key_of(name) not in keys]:
        remarks.append(f"{dataset}: the model never learnt {quoted(foreign)} of {theirs.name}: not scored.")

    def joined(text: str) -> str:
        there = {key_of(sign) for sign in text.split(JOINT) if sign}
        return JOINT.join(name for key, name in keys.items() if key in there)

    return pd.Series([None if pd.isna(text) else joined(str(text)) for text in values], values.index, dtype=object)


def _masks(model: Description, dataset: str, table: pd.DataFrame, workspace: Workspace) -> Elsewhere:
    """Match structures. Masks of one structure without a name are those of a model of one structure."""
    names = list(structures_of(model.facts).names or model.heads)
    told = _structures_in(dataset, workspace)
    if told.names == (MASK,) and len(names) == 1:
        told = Structures.two_valued(names[0])
    masked = table[table["mask_path"].notna()]
    if not len(masked):
        return Elsewhere(table, None, ())
    if lacking := [name for name in names if name not in told.names]:
        raise SwclError(
            f"{dataset}: its masks hold {', '.join(told.names)}, and no {', '.join(lacking)}, which the model finds. "
            f"Name them alike: {prep_command(dataset)} --masks, --mask-classes."
        )
    structures = told.only(names)
    if structures.names != tuple(names) or structures.exclusive != structures_of(model.facts).exclusive:
        raise SwclError(
            f"{dataset}: its structures overlap, or are in another order, than those that the model was trained on "
            f"({', '.join(names)}): they can't be scored together."
        )
    ratio = model.facts["ratio"]
    heads = dict.fromkeys(names, 2)
    task = Task(
        model.task, dataset, SEGMENTATION, heads, "f1", model.task, {}, structures=structures,
        ratio=tuple(ratio) if ratio else None,
    )  # fmt: skip
    absent = len(table) - len(masked)
    remarks = (f"{dataset}: {absent:,} of {len(table):,} photographs have no mask: left out.",) if absent else ()
    return Elsewhere(masked, _study(task, workspace, masked), remarks)


def _structures_in(dataset: str, workspace: Workspace) -> Structures:
    """Return what the masks of a data set show: as its manifest tells, or the public task of it knows."""
    told = manifest.read_structures(workspace.manifest(dataset))
    of_task = next(
        (task.structures for task in TASKS.values() if task.dataset == dataset and task.structures.names), None
    )
    return told or of_task or Structures.two_valued(MASK)
