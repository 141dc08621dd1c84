"""Split rows of results or predictions by task, initialisation and head, in the paper's order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from zlib import crc32

import pandas as pd

from swcl_cli.reporting.findings.names import ordered_initialisations, ordered_tasks, slug


def by_task(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for task in ordered_tasks(rows["task"]):
        yield task, rows[rows["task"] == task]


def by_initialisation(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for name in ordered_initialisations(rows["name"]):
        yield name, rows[rows["name"] == name]


def by_head(
    predictions: pd.DataFrame, others: pd.DataFrame | None = None
) -> Iterator[tuple[str, str, bool, pd.DataFrame]]:
    """Yield task, head, whether it is the task's only one, and the rows of each. others: predictions of other heads."""
    for task, of_task in by_task(predictions):
        heads = list(of_task["head"].unique())
        beside = others is not None and (others["task"] == task).any()
        for head in heads:
            yield task, head, len(heads) == 1 and not beside, of_task[of_task["head"] == head]


def file_name(kind: str, task: str, head: str, only: bool) -> str:
    """Name the figure of a head: `roc-idrid-dr-grade`, or `roc-messidor` where the task has no other head.

    A head whose letters are lost in it is told apart by a number.
    """
    name = slug(head)
    whole = name == re.sub(r"[\W_]+", "-", head.lower()).strip("-")
    return "-".join([kind, slug(task), *([] if only else [name if whole else f"{name}-{crc32(head.encode()):x}"])])
