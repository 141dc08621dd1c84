"""The fine-tuning tasks. To add one: a row in TASKS, its name in `settings/names.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Task:
    """`heads` maps a head to its number of classes: a grade column of the manifest, or a structure in the mask."""

    name: str
    dataset: str
    kind: Literal["classification", "segmentation"]
    heads: Mapping[str, int]
    measure: str  # the primary one, of FACTS 1


TASKS = {
    task.name: task
    for task in (
        Task("idrid", "idrid", "classification", {"dr_grade": 5, "dme_grade": 3}, "joint_accuracy"),
        Task("drive", "drive", "segmentation", {"vessel": 2}, "f1"),
    )
}
