"""Make the table of a classification's predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.labels import Label
from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.columns import OF_RUN, PREDICTED, Columns, classified
from swcl_cli.evaluation.class_measures import is_known
from swcl_cli.tasks.class_labels import Labels, Scores


def columns_of(task: Task) -> Columns:
    """Return the columns that predictions of this task are written with."""
    return classified(bool(task.own), bool(task.numbers))


def predicted_table(
    task: Task, rows: pd.DataFrame, truths: Labels, scores: Scores, thresholds: Mapping[str, Any]
) -> pd.DataFrame:
    """Make the table of predictions, a row for each image and head of which the label is known, or each sign."""
    parts = []
    for head, probabilities in scores.items():
        there = is_known(truths[head])
        about, truth, said = rows.loc[there, list(PREDICTED.names)], truths[head][there], probabilities[there]
        if head in task.numbers:
            parts.append(about.assign(head=head, true_number=truth, predicted_number=said[:, 0].astype(np.float64)))
        elif truth.ndim == 1:
            parts.append(_part(task, about, head, truth, said.argmax(axis=1), said, task.own.get(head)))
        else:
            parts += _signs(task, about, head, truth, said, thresholds[head])
    table = pd.concat(parts, ignore_index=True)
    if not task.numbers:
        return table
    held = [name for name in columns_of(task).names if name not in OF_RUN.names]
    whole = table.reindex(columns=held)
    texts = whole.columns.intersection(["probabilities", "true_class", "predicted_class"])
    return whole.astype({"truth": "Int64", "prediction": "Int64", **dict.fromkeys(texts, object)})


def _signs(
    task: Task, about: pd.DataFrame, head: str, truth: NDArray[np.int64], said: NDArray[np.float32], thresholds: Any
) -> list[pd.DataFrame]:
    """Return a table of predictions for each of several signs at once. truth, said: (N, K)."""
    parts = []
    for number, part in enumerate(task.own[head].parts):
        score = said[:, number]
        both = np.stack([1 - score, score], axis=1)
        predicted = (score > thresholds[number]).astype(np.int64)
        parts.append(_part(task, about, part.name, truth[:, number], predicted, both, part))
    return parts


def _part(
    task: Task, about: pd.DataFrame, head: str, truth: NDArray[np.int64], predicted: NDArray[np.int64],
    probabilities: NDArray[np.float32], own: Label | None,
) -> pd.DataFrame:  # fmt: skip
    """Return the predictions (N,) of a head, with the names of classes where people's own labels are learnt."""
    part = about.assign(head=head, truth=truth, prediction=predicted, probabilities=list(probabilities))
    if not task.own:
        return part
    names = np.array(own.names if own else range(probabilities.shape[1]), dtype=object)
    return part.assign(true_class=names[truth].astype(str), predicted_class=names[predicted].astype(str))
