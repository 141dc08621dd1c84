"""Choose the labels or masks to learn in people's own photographs, from those that their manifest holds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import pandas as pd
from torch import nn

from swcl_cli.catalogue.labels import LABELS, NUMBER, primary
from swcl_cli.catalogue.structures import Structures
from swcl_cli.catalogue.tasks import OWN, SEGMENTATION, TASKS, Task
from swcl_cli.data import manifest
from swcl_cli.datasets import DATASETS
from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings, prep_command
from swcl_cli.workspace import Workspace

MASK = "mask"
PUBLIC = DATASETS.keys() - {OWN}
LONGEST = 150  # bytes of a task's name, which a folder has


class Default(NamedTuple):
    """Say which labels are learnt where nobody names any.

    own: people's own, which some photographs may lack; numbers: left out beside others; by_name: never.
    """

    own: Collection[str]
    numbers: Collection[str]
    by_name: Collection[str]


def task_of(settings: FinetuneSettings, workspace: Workspace) -> Task:
    """Return the task of the settings; an open task is completed from the manifest of `--data`, and named after it.

    Where `--heads` chooses structures or labels of people's own, these are a part of the name: each choice is a task of
    its own.
    Raises SwclError where the manifest holds nothing to learn, or not what `--heads` names.
    """
    task = TASKS[settings.task]
    if not task.open:
        return task
    path = workspace.manifest(settings.data)
    held = [label.learnt for label in manifest.read_labels(path)]
    labels = {label.name: label for label in held if label.is_own or label.name in task.heads}
    columns = [*(head for head in task.heads if head in labels), *(name for name in labels if name not in task.heads)]
    structures = manifest.read_structures(path) or Structures.two_valued(MASK)
    table = manifest.read(path, columns=[*columns, "mask_path"]).rename(columns={"mask_path": MASK})
    own = replace(task, name=task.called(settings.data), dataset=settings.data, open=False)
    named = [head for head in settings.heads if head in structures.names and head != MASK]
    others = [_written(head, columns) for head in settings.heads if head not in named]
    wanted, free = [*([MASK] if named else []), *others], [name for name, label in labels.items() if label.is_own]
    numbers = [name for name, label in labels.items() if label.kind == NUMBER]
    by_name = [name for name in labels if name not in task.heads and (name in LABELS or settings.data in PUBLIC)]
    _require_read(wanted, settings.data, labels, path)
    default = Default(free, numbers, by_name)
    chosen = _chosen(table, wanted, default, str(path), structures.names)
    if chosen == [MASK]:
        learnt = structures.only(named or structures.names)
        _require_names(learnt.names, str(path))
        heads = dict.fromkeys(learnt.names, 2)
        name = _named(own.name, learnt.names if named else ())
        return replace(own, name=name, kind=SEGMENTATION, heads=heads, measure="f1", structures=learnt)
    heads = {head: labels[head].outputs for head in chosen}
    described = {head: labels[head] for head in chosen if labels[head].is_own}
    measure = primary({head: labels[head] for head in chosen})
    apart = settings.heads and (described or {*chosen} & {*numbers})
    name = _named(own.name, chosen if apart else ())
    return replace(own, name=name, heads=heads, measure=measure, own=described)


def _require_read(wanted: Sequence[str], dataset: str, labels: Collection[str], path: Path) -> None:
    """Raise SwclError where the manifest lacks a wanted label that this version would have read."""
    read = DATASETS[dataset].labels if dataset in DATASETS else ()
    if lacking := [label.name for label in read if label.name in wanted and label.name not in labels]:
        raise SwclError(
            f"{path} was prepared by an earlier version, which did not read {' and '.join(lacking)}: run "
            f"`{prep_command(dataset)}` again."
        )


def _named(task: str, chosen: Iterable[str]) -> str:
    """Return a task's name with those of what was chosen to be learnt."""
    return _short(",".join([task, *map(_part_of_path, chosen)]))


def _part_of_path(label: str) -> str:
    """Return a label's name as a part of a folder's; where letters are lost a number tells it from others.

    A comma parts it from the others: no data set and no label of people's own has one in its name.
    """
    plain = re.sub(r"[^\w .:()+-]", "_", label).strip()
    return plain if plain == label else f"{plain}-{crc32(label.encode()):x}"


def _short(name: str) -> str:
    """Return a name that file systems take; of a long one the beginning, and a number."""
    if len(name.encode()) <= LONGEST:
        return name
    return f"{name.encode()[: LONGEST - 10].decode(errors='ignore')}-{crc32(name.encode()):x}"


def _written(head: str, labels: Sequence[str]) -> str:
    """Return a label's name as the table has it, whatever the case of its letters in `--heads`."""
    return next((name for name in labels if name.casefold() == head.casefold()), head)


def _require_names(structures: Sequence[str], path: str) -> None:
    """Raise SwclError where a structure has a name that torch keeps to itself for the parts of a network."""
    if taken := [name for name in structures if hasattr(nn.ModuleDict, name)]:
        raise SwclError(
            f"{path}: no part of a network can be called '{taken[0]}': give the structure another name in "
            "--mask-classes or --masks, and prepare it again."
        )


def _chosen(
    table: pd.DataFrame,
    wanted: Sequence[str],
    default: Default,
    path: str,
    structures: Sequence[str],
) -> list[str]:
    """Choose the columns to learn: those of `wanted`, else masks if there are any, else labels of all photographs.

    default: what is learnt where nothing is wanted. structures: the names of those in the masks, for messages. Raises
    SwclError where a wanted column is empty, masks and labels are wanted together, or there is nothing to learn.
    """
    known = {column: int(table[column].notna().sum()) for column in table}
    held = ", ".join(f"{column} ({count} of {len(table)})" for column, count in known.items() if count) or "none"
    held += f"; structures in the masks: {', '.join(structures)}" if structures != (MASK,) else ""
    unknown = [head for head in wanted if not known.get(head)]
    if unknown:
        raise SwclError(f"{path} holds no {' and no '.join(unknown)}. What it holds, of how many photographs: {held}.")
    if MASK in wanted and len(wanted) > 1:
        raise SwclError("--heads: masks and labels can't be learnt together; name either.")
    if wanted:
        return [column for column in known if column in wanted]
    if known[MASK]:
        return [MASK]
    held_by = {column: count for column, count in known.items() if column not in default.by_name}
    whole = [
        column for column, count in held_by.items() if count == len(table) > 0 or (count and column in default.own)
    ]
    whole = [column for column in whole if column not in default.numbers] or [
        column for column in whole if column in default.own
    ]
    if not whole:
        raise SwclError(
            f"{path} holds nothing to learn: neither masks nor a label of all photographs. Labels: {held}. "
            "See swcl prep folder --labels, --masks; a label of some photographs can be named by --heads."
        )
    return whole
