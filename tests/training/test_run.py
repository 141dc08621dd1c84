"""A long run: its log, when it saves, and how it stops."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from swcl_cli.errors import Interrupted, SwclError
from swcl_cli.training import run as module
from swcl_cli.training.checkpoints import TrainState
from swcl_cli.training.loop import Step
from swcl_cli.training.processes import make_fabric
from swcl_cli.training.run import Run, is_begun
from swcl_cli.workers import STOPPING
from swcl_cli.workspace import read_provenance
from tests.folders import read_log
from tests.workspace.test_locks import holder

WORK = {"step": "pretrain", "settings": {"seed": 0}, "inputs": {}}
NEVER = 1e9
FABRIC = make_fabric("cpu", "fp32")


def fresh_state() -> TrainState:
    network = nn.Linear(1, 1)
    nn.init.zeros_(network.weight)
    return TrainState(network, torch.optim.SGD(network.parameters(), lr=1.0))


def steps(state: TrainState, total: int = 5) -> Iterator[Step]:
    """Counts in the weight: it holds the number of steps that were done."""
    for index in range(state.step, total):
        with torch.no_grad():
            state.module.get_parameter("weight").add_(1.0)
        yield Step(
            index,
            loss=10.0 - index,
            learning_rate=0.5,
            metrics={"share": 0.25, "gradient_norm": 3.0},
            waited=0.5,
            took=2.0,
        )


def weight(state: TrainState) -> float:
    return float(state.module.get_parameter("weight").detach())


def saved_step(folder: Path) -> int | None:
    path = folder / "resume.safetensors"
    return int(read_provenance(path)["resume"]["step"]) if path.exists() else None


def test_each_step_is_passed_on_counted_and_logged(tmp_path: Path) -> None:
    state = fresh_state()
    job = Run(FABRIC, tmp_path / "run", WORK, state, NEVER, fresh=False)
    seen = []
    for step in job.follow(steps(state, 3), 3, views_a_step=8):
        seen.append((step.index, state.step))
        if step.index == 1:
            job.log(epoch=0, validation=0.75)
    assert seen == [(0, 1), (1, 2), (2, 3)] and saved_step(tmp_path / "run") is None
    shared = {"learning_rate": 0.5, "share": 0.25, "gradient_norm": 3.0, "views_a_second": 4.0, "waited_share": 0.25}
    assert read_log(tmp_path / "run") == [
        {"step": 0, "loss": 10.0, **shared},
        {"step": 1, "loss": 9.0, **shared},
        {"step": 1, "epoch": 0, "validation": 0.75},
        {"step": 2, "loss": 8.0, **shared},
    ]


def test_a_killed_run_goes_on_from_its_last_save_and_its_log_is_cut_back(tmp_path: Path) -> None:
    state = fresh_state()
    job = Run(FABRIC, tmp_path, WORK, state, 0, fresh=False)
    for step in job.follow(steps(state), 5, 1):
        job.log(epoch=step.index)
        if step.index == 3:
            break  # as kill -9 does: after the step was logged, before it was saved
    with open(tmp_path / "log.jsonl", "a") as log:
        log.write('{"step": 4, "loss"')
    assert saved_step(tmp_path) == 3

    again = fresh_state()
    job = Run(FABRIC, tmp_path, WORK, again, NEVER, fresh=False)
    assert (again.step, weight(again)) == (3, 3.0)
    assert [record["step"] for record in read_log(tmp_path)] == [0, 0, 1, 1, 2, 2]
    for step in job.follow(steps(again), 5, 1):
        job.log(epoch=step.index)
    assert weight(again) == 5.0 and [record["step"] for record in read_log(tmp_path)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    job.finish()
    assert saved_step(tmp_path) is None


@pytest.mark.parametrize("pressed", [False, True])
def test_a_signal_at_the_last_step_that_the_caller_takes_is_told(tmp_path: Path, pressed: bool) -> None:
    state = fresh_state()
    job = Run(FABRIC, tmp_path, WORK, state, NEVER, fresh=False)
    for step in job.follow(steps(state), 5, 1):
        if step.index == 2:
            if pressed:
                signal.raise_signal(signal.SIGINT)
            break
    assert job.stopped == pressed


def test_a_log_without_a_state_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 0}\n{"step": 1}\n')
    Run(FABRIC, tmp_path, WORK, fresh_state(), NEVER, fresh=False)
    assert read_log(tmp_path) == []


def test_lines_of_the_log_that_are_no_records_are_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = fresh_state()
    job = Run(FABRIC, tmp_path, WORK, state, 0, fresh=False)
    for step in job.follow(steps(state), 5, 1):
        if step.index == 3:
            break
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'nonsense}\n[1]\n{"loss": 2}\n\xff\n{"step": "1"}\n' + log.read_bytes())
    Run(FABRIC, tmp_path, WORK, fresh_state(), NEVER, fresh=False)
    assert [record["step"] for record in read_log(tmp_path)] == [0, 1, 2]
    assert "log.jsonl is damaged, or of another version: 5 of its lines are no records" in capsys.readouterr().err


def test_it_saves_when_it_is_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 100.0

        @classmethod
        def monotonic(cls) -> float:
            return cls.now

    monkeypatch.setattr(module, "time", Clock)
    state, saved = fresh_state(), []
    for step in Run(FABRIC, tmp_path, WORK, state, 60, fresh=False).follow(steps(state, 8), 8, 1):
        saved.append((step.index, saved_step(tmp_path)))
        Clock.now += 25
    assert saved == [(0, None), (1, None), (2, None), (3, 3), (4, 3), (5, 3), (6, 6), (7, 6)]


def test_every_step_is_saved_where_seconds_are_zero(tmp_path: Path) -> None:
    state = fresh_state()
    following = Run(FABRIC, tmp_path, WORK, state, 0, fresh=False).follow(steps(state), 5, 1)
    assert [saved_step(tmp_path) for _ in following] == [None, 1, 2, 3, 4] and saved_step(tmp_path) == 5


def test_a_signal_that_is_ignored_outside_stays_so(tmp_path: Path) -> None:
    """Under nohup a closed terminal ends nothing."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        state = fresh_state()
        for step in Run(FABRIC, tmp_path, WORK, state, NEVER, fresh=False).follow(steps(state), 5, 1):
            if step.index == 2:
                signal.raise_signal(signal.SIGHUP)
        assert weight(state) == 5 and saved_step(tmp_path) is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_folder_is_one_runs_at_a_time(tmp_path: Path) -> None:
    with (
        holder(tmp_path),
        pytest.raises(SwclError, match=r"Another `swcl pretrain` is at work on .* \(process \d+ on "),
    ):
        Run(FABRIC, tmp_path, WORK, fresh_state(), NEVER, fresh=True)
    Run(FABRIC, tmp_path, WORK, fresh_state(), NEVER, fresh=True).finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl"]


def test_what_the_caller_does_with_a_step_is_saved_with_it(tmp_path: Path) -> None:
    state = fresh_state()
    for step in Run(FABRIC, tmp_path, WORK, state, 0, fresh=False).follow(steps(state, 2), 2, 1):
        state.notes = {"best_epoch": step.index}
    again = fresh_state()
    Run(FABRIC, tmp_path, WORK, again, 0, fresh=False)
    assert (again.step, again.notes) == (2, {"best_epoch": 1})


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_saves_after_the_step_in_progress_and_stops(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    state = fresh_state()
    job, done = Run(FABRIC, tmp_path, WORK, state, NEVER, fresh=False), []
    with pytest.raises(Interrupted, match="^Stopped after step 3; the same command goes on from there.$"):
        for step in job.follow(steps(state), 5, 1):
            if step.index == 2:
                signal.raise_signal(number)
            done.append(step.index)
    assert done == [0, 1, 2] and saved_step(tmp_path) == 3 and signal.getsignal(number) == before
    again = fresh_state()
    Run(FABRIC, tmp_path, WORK, again, NEVER, fresh=False)
    assert (again.step, weight(again)) == (3, 3.0)


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    state = fresh_state()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        for _ in Run(FABRIC, tmp_path, WORK, state, NEVER, fresh=False).follow(steps(state), 5, 1):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError
    assert saved_step(tmp_path) is None and signal.getsignal(signal.SIGTERM) == before


def test_signals_are_the_program_s_own_again_after_the_caller_leaves(tmp_path: Path) -> None:
    before = {number: signal.getsignal(number) for number in STOPPING}
    state = fresh_state()
    following = Run(FABRIC, tmp_path, WORK, state, NEVER, fresh=False).follow(steps(state), 5, 1)
    next(following)
    assert all(signal.getsignal(number) != handler for number, handler in before.items())
    following.close()  # type: ignore[attr-defined]
    assert {number: signal.getsignal(number) for number in before} == before


def test_other_work_is_refused_unless_it_starts_afresh(tmp_path: Path) -> None:
    state = fresh_state()
    list(Run(FABRIC, tmp_path, WORK, state, 0, fresh=False).follow(steps(state), 5, 1))
    other = {**WORK, "settings": {"seed": 1}}
    with pytest.raises(SwclError, match=r"differs \(seed: 0 -> 1\). Start over with --fresh."):
        Run(FABRIC, tmp_path, other, fresh_state(), NEVER, fresh=False)
    assert len(read_log(tmp_path)) == 5

    again = fresh_state()
    job = Run(FABRIC, tmp_path, other, again, NEVER, fresh=True)
    assert again.step == 0 and read_log(tmp_path) == [] and saved_step(tmp_path) is None
    with pytest.raises(
        Interrupted, match="^Stopped after step 1; the same command without --fresh goes on from there.$"
    ):
        for _ in job.follow(steps(again), 5, 1):
            signal.raise_signal(signal.SIGINT)
    assert is_begun(tmp_path, other) and not is_begun(tmp_path, WORK) and not is_begun(tmp_path / "none", WORK)
