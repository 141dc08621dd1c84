"""The numbers as they stand in the paper, and what its text says of them."""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest

from swcl_cli.catalogue import paper
from swcl_cli.catalogue.encoders import NATURAL
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.catalogue.paper import ROW_ORDER, TABLE_THREE, TABLE_TWO, TASK_ORDER
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.reporting.findings.published import listed, paper_score


def _best(task: str, among: list[str]) -> str:
    return max(among, key=lambda method: paper_score(method, task) or 0)


def test_table_two_has_all_rows_and_columns() -> None:
    assert set(TABLE_TWO) == set(ROW_ORDER) - {"imagenet"}
    assert {len(row) for row in TABLE_TWO.values()} == {len(TASK_ORDER)}


def test_best_ones_are_those_that_the_paper_marks() -> None:
    best = {task: _best(task, list(TABLE_TWO)) for task in TASK_ORDER}
    assert best == {
        "messidor": "bit-m", "idrid": "bit-s", "refuge-cls": "swcl", "drive": "bit-s", "chase-db1": "swcl",
        "stare": "bit-m", "refuge-seg": "bit-m",
    }  # fmt: skip
    retinal = [name for name in TABLE_TWO if name not in ("random", *NATURAL)]
    assert {task: _best(task, retinal) for task in TASK_ORDER} == {
        "messidor": "swcl", "idrid": "swcl", "refuge-cls": "swcl", "drive": "multitask", "chase-db1": "swcl",
        "stare": "swcl", "refuge-seg": "swcl-image",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "task", "points"),  # paper IV-C
    [
        ("bit-s", "random", "idrid", 22.14),
        ("swcl", "supervised-eyepacs", "messidor", 4.51),
        ("swcl", "supervised-eyepacs", "idrid", 4.85),
        ("swcl", "supervised-eyepacs", "refuge-cls", 4.06),
    ],
)
def test_differences_that_the_text_names(one: str, other: str, task: str, points: float) -> None:
    higher, lower = paper_score(one, task), paper_score(other, task)
    assert higher is not None and lower is not None
    assert higher - lower == pytest.approx(points)


def test_differences_that_the_text_names_of_table_three() -> None:
    whole = TABLE_THREE["swcl", (), 0.4]
    assert len(TABLE_THREE) == 11
    assert whole - TABLE_THREE["swcl", (), 0.3] == pytest.approx(1.49)
    assert whole - TABLE_THREE["swcl", (), 0.5] == pytest.approx(3.61)
    assert whole - TABLE_THREE["swcl", ("abnormality",), 0.4] == pytest.approx(3.52)
    alone = TABLE_THREE["swcl", ("position", "patient"), 0.4]
    assert alone == 87.51 and alone < TABLE_THREE["imagenet", (), None]


def test_what_the_paper_does_not_have() -> None:
    assert paper_score("imagenet", "idrid") is None
    assert paper_score(None, "idrid") is None
    assert paper_score("swcl", "folder-mine") is None


def test_a_task_or_method_more_moves_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    first = next(iter(TASKS.values()))
    monkeypatch.setattr("swcl_cli.catalogue.tasks.TASKS", {"added": replace(first, name="added"), **TASKS})
    monkeypatch.setattr("swcl_cli.catalogue.methods.METHODS", {"new": replace(METHODS["swcl"], name="new"), **METHODS})
    added = importlib.reload(paper)
    try:
        assert added.TASK_ORDER == TASK_ORDER and added.TABLE_TWO == TABLE_TWO
        assert (*added.ROW_ORDER, "new") == added.INITIALISATIONS
    finally:
        monkeypatch.undo()
        importlib.reload(paper)


def test_reasons_are_listed_by_step() -> None:
    reasons = ["prep: size", "finetune: epochs", "finetune: crop", "finetune: crop"]
    assert listed(reasons) == "finetune (crop, epochs), prep (size)"
    many = [*reasons, *(f"pretrain: {setting}" for setting in ("epochs", "seed", "views", "flip"))]
    assert listed(many) == "finetune, prep, pretrain"
