"""Make the table of a classification's predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.labels import Label
from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.columns import PREDICTED
from swcl_cli.tasks.class_labels import Labels, Scores, known


def predicted_table(
    task: Task, rows: pd.DataFrame, truths: Labels, scores: Scores, thresholds: Mapping[str, Any]
) -> pd.DataFrame:
    """Make the table of predictions, a row for each image and head of which the label is known, or each sign."""
    parts = []
    for head, probabilities in scores.items():
        there = known(truths[head])
        about, truth, said = rows.loc[there, list(PREDICTED.names)], truths[head][there], probabilities[there]
        if truth.ndim == 1:
            parts.append(_part(task, about, head, truth, said.argmax(axis=1), said, task.own.get(head)))
            continue
        for number, part in enumerate(task.own[head].parts):
            score = said[:, number]
            both = np.stack([1 - score, score], axis=1)
            predicted = (score > thresholds[head][number]).astype(np.int64)
            parts.append(_part(task, about, part.name, truth[:, number], predicted, both, part))
    return pd.concat(parts, ignore_index=True)


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
