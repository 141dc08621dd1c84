"""What is done, what is left, and the time to come, from files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.tasks import ledger
from swcl_cli.tasks.ledger import spent
from swcl_cli.tasks.runs import TaskRun
from swcl_cli.training.grid import Rates
from swcl_cli.workspace import Workspace
from tests.planted import IDRID, options


def runs(root: Path, seeds: int = 3, **values: Any) -> list[TaskRun]:
    settings = options(root, IDRID, **{"batch": 16, **values})
    of_all = (settings, Workspace(root), TASKS["idrid"], "swcl", "resnet18", {"idrid": "0"})
    return [TaskRun(*of_all, seed, None) for seed in range(seeds)]


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def write_log(folder: Path, steps: int, validations: int) -> None:
    """Two seconds a step, half a minute a validation."""
    folder.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, Any]] = [{"step": step, "loss": 1.0, "views_a_second": 8.0} for step in range(steps)]
    lines += [{"step": steps, "validation": 0.5, "seconds": 30.0}] * validations
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "log.jsonl").write_text(text + '{"step": 9, "views_a_sec')  # as it may be killed


def test_nothing_is_done(tmp_path: Path) -> None:
    found = ledger.trainings(runs(tmp_path))
    assert ledger.rows(found) == [(f"seed{seed}", "to do", "") for seed in range(3)]
    assert ledger.forecast(found) == "0 of 3 done"


def test_states_and_minutes(tmp_path: Path) -> None:
    """30 steps of 2 s and 2 validations of 30 s are 2 min; the half-done one has 1 min left, the last one 2."""
    first, second, _ = runs(tmp_path)
    touch(first.model)
    write_log(first.log_folder, 30, 2)
    touch(second.log_folder / "resume.safetensors")
    write_log(second.log_folder, 15, 1)
    found = ledger.trainings(runs(tmp_path))
    assert ledger.rows(found) == [("seed0", "done", "2.0"), ("seed1", "begun", "1.0"), ("seed2", "to do", "")]
    assert ledger.forecast(found) == "1 of 3 done, about 3 min to go"


def test_a_run_that_takes_longer_than_the_others_takes_no_time_off_them(tmp_path: Path) -> None:
    first, second, _ = runs(tmp_path)
    touch(first.model)
    write_log(first.log_folder, 60, 0)
    write_log(second.log_folder, 6000, 0)
    assert ledger.forecast(ledger.trainings(runs(tmp_path))) == "1 of 3 done, about 2 min to go"


def test_all_is_done(tmp_path: Path) -> None:
    for run in runs(tmp_path):
        touch(run.model)
        write_log(run.log_folder, 60, 0)
    assert ledger.forecast(ledger.trainings(runs(tmp_path))) == "3 of 3 done"


def test_points_of_the_grid_stand_for_the_first_seed(tmp_path: Path) -> None:
    first, *_ = runs(tmp_path, grid=True)
    touch(first.point(Rates(0.1, 1e-3)))
    write_log(first.log_folder / "lr0.1-wd0.001", 60, 0)
    found = ledger.trainings(runs(tmp_path, grid=True))
    assert [one.title for one in found[:2]] == ["seed0, lr0.1-wd0.001", "seed0, lr0.1-wd0.0005"]
    assert [one.state for one in found] == ["done", *["to do"] * 7]
    assert ledger.forecast(found) == "1 of 8 done, about 14 min to go"


@pytest.mark.parametrize("name", ["grid", "model"])
def test_what_is_chosen_needs_no_training(tmp_path: Path, name: str) -> None:
    first, *_ = runs(tmp_path, grid=True)
    touch(getattr(first, name))
    assert [one.state for one in ledger.trainings(runs(tmp_path, grid=True))] == [*["done"] * 6, *["to do"] * 2]


def test_lines_that_are_no_records_take_no_time(tmp_path: Path) -> None:
    whole = '{"step": 0, "views_a_second": 2.0}\n{"step": 1, "epoch": 0, "seconds": 3.0}\n'
    damaged = 'x\n[1]\nnull\n{"step": "1"}\n{"step": 1, "seconds": "x"}\n{"step": 2, "views_a_second": 0}\n'
    (tmp_path / "log.jsonl").write_text(damaged + whole + '{"step": 3, "sec')
    assert spent(tmp_path, batch=8) == 7.0


def test_less_than_a_minute(tmp_path: Path) -> None:
    first, *_ = runs(tmp_path)
    touch(first.model)
    write_log(first.log_folder, 14, 0)
    assert ledger.forecast(ledger.trainings(runs(tmp_path))) == "1 of 3 done, less than a minute to go"
