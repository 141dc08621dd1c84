"""The table of tasks against what it names elsewhere."""

from __future__ import annotations

import pytest

from swcl_cli import settings
from swcl_cli.data.manifest import SCHEMA
from swcl_cli.steps.finetune import KINDS
from swcl_cli.tasks import TASKS, Task


def test_names_are_those_of_the_settings() -> None:
    assert tuple(TASKS) == settings.TASKS and TASKS.keys() == settings.TASK_ROWS.keys()
    assert all(task.name == name for name, task in TASKS.items())


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_rows_name_what_exists(task: Task) -> None:
    assert task.dataset in settings.DATASETS and task.kind in KINDS
    assert all(classes >= 2 for classes in task.heads.values())
    if task.kind == "classification":
        assert set(task.heads) <= set(SCHEMA.names)


def test_rows_are_those_of_the_paper() -> None:
    assert TASKS["idrid"].heads == {"dr_grade": 5, "dme_grade": 3} and TASKS["idrid"].measure == "joint_accuracy"
    assert TASKS["drive"].heads == {"vessel": 2} and TASKS["drive"].measure == "f1"
