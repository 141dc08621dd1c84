"""The log of a training: times on each line, and events that TensorBoard reads back with the same numbers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings
from swcl_cli.steps import finetune
from swcl_cli.training import log as module
from swcl_cli.training.log import MOST_VIEWS, TrainingLog, shown_views
from swcl_cli.training.run import Run
from swcl_cli.workspace import read_lines
from tests.folders import contents, read_log
from tests.planted import write_idrid
from tests.training.test_run import FABRIC, WORK, fresh_state, steps

COLOURS = ((0.5, 0.25, 0.125), (0.5, 0.25, 0.2))


def events(folder: Path) -> EventAccumulator:
    """What TensorBoard shows of a run."""
    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0}).Reload()


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    held = events(folder)
    return {tag: [(event.step, event.value) for event in held.Scalars(tag)] for tag in held.Tags()["scalars"]}


def test_each_line_has_the_time_at_which_it_was_written(tmp_path: Path) -> None:
    log, before = TrainingLog(tmp_path, tensorboard=False), time.time()
    log.begin(0)
    log.write(0, "training", {"loss": 1.5})
    log.write(1, "training", {"loss": 1.25})
    records = [record for _, record in read_lines((tmp_path / "log.jsonl").read_bytes()).records]
    assert [{**record, "time": 0} for record in records] == [
        {"step": 0, "loss": 1.5, "time": 0},
        {"step": 1, "loss": 1.25, "time": 0},
    ]
    assert before - 0.001 <= records[0]["time"] <= records[1]["time"] <= time.time() + 0.001
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def batches(count: int) -> Iterator[list[dict[str, Any]]]:
    for number in range(count):
        yield [{"label": torch.zeros(2), "image": torch.full((2, 3, 8, 8), float(number))}]


def test_events_hold_the_numbers_of_the_log(tmp_path: Path) -> None:
    state = fresh_state()
    job = Run(FABRIC, tmp_path, WORK, state, 1e9, fresh=False, tensorboard=True)
    list(job.watched(batches(3), SimpleNamespace(mean=COLOURS[0], std=COLOURS[1])))
    for step in job.follow(steps(state, 4), 4, views_a_step=8):
        if step.index % 2:
            job.log(epoch=step.index, validation=0.5 + step.index)
    job.finish()
    records = read_log(tmp_path)
    held = curves(tmp_path)
    assert held["training/loss"] == [(record["step"], record["loss"]) for record in records if "loss" in record]
    assert held["validation/validation"] == [(1, 1.5), (3, 3.5)] and "validation/epoch" not in held
    assert held.keys() > {"training/learning_rate", "training/views_a_second", "training/gradient_norm"}
    (picture,) = events(tmp_path).Images("views")
    assert picture.step == 0 and picture.width > 8


def test_what_is_done_again_is_told_once(tmp_path: Path) -> None:
    state = fresh_state()
    job = Run(FABRIC, tmp_path, WORK, state, 0, fresh=False, tensorboard=True)
    for step in job.follow(steps(state), 5, 1):
        if step.index == 3:
            break  # as kill -9 does: after the step was logged, before it was saved
    job.lines.flush()
    del job
    again = fresh_state()
    job = Run(FABRIC, tmp_path, WORK, again, 1e9, fresh=False, tensorboard=True)
    for _ in job.follow(steps(again), 5, 1):
        pass
    job.finish()
    assert [step for step, _ in curves(tmp_path)["training/loss"]] == [0, 1, 2, 3, 4]
    job = Run(FABRIC, tmp_path, WORK, fresh_state(), 1e9, fresh=True, tensorboard=True)
    job.finish()
    assert curves(tmp_path) == {}


@pytest.mark.parametrize(
    "batch",
    [
        {"image": torch.full((4, 3, 2, 2), 1.0)},
        [{"labels": torch.zeros(4), "views": torch.full((2, 2, 2, 2, 3), 200, dtype=torch.uint8)}],
        (np.full((4, 2, 2, 3), 200, np.uint8), torch.zeros(4)),
        {"label": torch.zeros(4), "views": torch.full((2, 2, 3, 2, 2), 200, dtype=torch.uint8)},
    ],
)
def test_views_are_found_in_batches_of_any_form(batch: object) -> None:
    views = shown_views(batch, *COLOURS)
    assert views is not None and views.shape == (4, 3, 2, 2) and views.dtype == torch.uint8
    levels = {255, 128, 83} if isinstance(batch, dict) and "image" in batch else {200}  # (1 * std + mean) * 255
    assert set(views.unique().tolist()) == levels


def test_a_batch_without_views_has_no_picture() -> None:
    assert shown_views({"features": torch.zeros(4, 8), "name": "a"}, *COLOURS) is None and MOST_VIEWS > 4


def test_the_missing_package_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(SwclError, match=r"pip install 'swcl\[tensorboard\]'"):
        TrainingLog(tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("probe", [False, True], ids=["training", "probe"])
def test_finetune_writes_both_and_the_same_model(tmp_path: Path, probe: bool) -> None:
    """Events change no byte of the result, and stand beside log.jsonl."""
    made = {}
    for name in ("plain", "watched"):
        root = tmp_path / name
        write_idrid(root, 30)
        settings = FinetuneSettings(
            workspace=root, task="idrid", init="random", architecture="test_resnet", crop=32, epochs=2, batch=4,
            seeds=1, workers=0, probe=probe, tensorboard=name == "watched", accelerator="cpu",
        )  # fmt: skip
        finetune.run(settings)
        made[name] = contents(root / "finetune")
        folder = next(root.glob("runs/finetune/idrid/*/seed0"))
        assert (folder / "tensorboard").is_dir() == (name == "watched")
    assert made["plain"] == made["watched"]
    held, records = curves(folder), read_log(folder)
    validated = [(record["step"], record["validation"]) for record in records if "validation" in record]
    np.testing.assert_allclose(held["validation/validation"], validated, rtol=1e-6)
    assert ("views" in events(folder).Tags()["images"]) == (not probe)
