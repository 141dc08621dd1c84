"""The table of tasks against what it names elsewhere."""

from __future__ import annotations

import pytest

from swcl_cli.catalogue.paper import TASK_ORDER
from swcl_cli.catalogue.tasks import TASKS, Task
from swcl_cli.data.columns import MANIFEST
from swcl_cli.datasets import DATASETS
from swcl_cli.preparation import masks
from swcl_cli.tasks import KINDS


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_rows_name_what_exists(task: Task) -> None:
    assert task.dataset in DATASETS and task.kind in KINDS
    if task.kind == "classification":
        assert all(classes == (1 if head in task.numbers else max(classes, 2)) for head, classes in task.heads.items())
        assert set(task.heads) <= set(MANIFEST.names) and task.grades.keys() <= task.heads.keys()
        for head, grades in task.grades.items():
            assert set(grades) == set(range(task.heads[head]))
    elif task.kind == "segmentation":
        shown = task.structures
        assert shown.names == tuple(task.heads) and set(task.heads.values()) == {2}
        assert all(0 < len(shown.codes_of(name)) < len(shown.codes) for name in shown.names)
        assert task.ratio is None or set(task.ratio) <= task.heads.keys()


def test_rows_are_those_of_the_paper() -> None:
    """Table I; FACTS 1."""
    rows = {name: (list(TASKS[name].heads.values()), TASKS[name].measure) for name in TASK_ORDER}
    assert rows == {
        "messidor": ([2, 3], "joint_accuracy"), "idrid": ([5, 3], "joint_accuracy"), "refuge-cls": ([2], "auc"),
        "drive": ([2], "f1"), "stare": ([2], "f1"), "chase-db1": ([2], "f1"), "refuge-seg": ([2, 2], "f1"),
    }  # fmt: skip
    assert TASKS["messidor"].grades == {"dr_grade": (0, 0, 1, 1)}  # referable: grades 2 and 3
    assert TASKS["refuge-seg"].ratio == ("cup", "disc")


def test_masks_are_those_that_prep_writes() -> None:
    """The disc includes the cup (FACTS 3)."""
    disc_and_cup = TASKS["refuge-seg"]
    assert set(disc_and_cup.structures.codes) == {masks.CUP, masks.RIM, masks.BACKGROUND}
    assert disc_and_cup.structures.codes_of("disc") == (masks.CUP, masks.RIM)
    assert disc_and_cup.structures.codes_of("cup") == (masks.CUP,) and not disc_and_cup.structures.exclusive
