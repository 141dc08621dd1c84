"""`finetune --scheduler`: each run in a process of its own on a worker, with the bytes of one process."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.cluster.dask_processes import Dask, until
from tests.commands import finish, process
from tests.folders import contents
from tests.planted import write_idrid
from tests.test_workers import runs

TINY = """
[finetune]
architecture = "test_resnet"
crop = 32
epochs = 6
batch = 16
learning_rate = 0.03
accelerator = "cpu"
save_seconds = 0
workers = 0
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a data set, and what one process makes of it, at the threads that commands have here."""
    root = tmp_path_factory.mktemp("local")
    (root / "tiny.toml").write_text(TINY)
    write_idrid(root, 60)
    shutil.copytree(root / "data", root / "before/data")
    done = finish(process(*command(root, "--seeds", 2)), seconds=400)
    assert done.code == 0, done.err
    return root


def command(root: Path, *options: object) -> list[object]:
    return ["finetune", "idrid", "--preset", root / "tiny.toml", "--workspace", root, *options]


def results(root: Path) -> dict[str, bytes]:
    return contents(root / "finetune/idrid/random")


@pytest.fixture
def work(tmp_path: Path, local: Path) -> Path:
    """A workspace with the same data set, and nothing made of it."""
    shutil.copytree(local / "before", tmp_path / "work")
    shutil.copy(local / "tiny.toml", tmp_path / "work")
    return tmp_path / "work"


def test_the_run_of_a_killed_worker_moves_to_another(work: Path, cluster: Dask, local: Path) -> None:
    """Its process ends with the worker, whose state goes on elsewhere."""
    started = process(*command(work, "--seeds", 2, "--scheduler", cluster.address))
    state = work / "runs/finetune/idrid/random/seed0/resume.safetensors"
    until(lambda: state.exists() or started.poll() is not None)
    assert started.poll() is None
    [busy, *_] = [worker for worker in cluster.workers if children(worker.pid)]
    trainings = children(busy.pid)
    os.kill(busy.pid, signal.SIGKILL)
    until(lambda: not any(map(runs, trainings)), seconds=10)
    done = finish(started, seconds=400)
    assert done.code == 0, done.err
    assert results(work) == results(local)
    assert "on the CPU" not in done.out and done.out.count(": done on ") == 2


@pytest.mark.slow
def test_ctrl_c_saves_the_states_of_all(work: Path, cluster: Dask, local: Path) -> None:
    words = command(work, "--seeds", 2, "--scheduler", cluster.address)
    states = [work / f"runs/finetune/idrid/random/seed{seed}/resume.safetensors" for seed in (0, 1)]
    first = process(*words)
    until(lambda: any(state.exists() for state in states) or first.poll() is not None)
    assert first.poll() is None
    first.send_signal(signal.SIGINT)
    done = finish(first, seconds=400)
    assert done.code == 130, done.err
    assert done.err.endswith("\nerror: Stopped: workers save the states of trainings, and the same command goes on.\n")
    assert not (work / "finetune/idrid/random/results.parquet").exists()
    trainings = [pid for worker in cluster.workers for pid in children(worker.pid)]
    until(lambda: not any(map(runs, trainings)))
    assert any(state.exists() for state in states)
    done = finish(process(*words), seconds=400)
    assert done.code == 0 and results(work) == results(local)
    again = finish(process(*words), seconds=400)
    assert again.code == 0 and ": done on " not in again.out and results(work) == results(local)


@pytest.mark.slow
def test_a_grid_over_folds_and_a_probe(work: Path, cluster: Dask, local: Path) -> None:
    """Six trainings a fold come before its seeds; a probe's runs share features, and are one piece of work."""
    for options in (["--grid", "--folds", 2, "--seeds", 2, "--name", "grid"], ["--probe", "--folds", 3, "--seeds", 2]):
        words = [*command(local), *options]
        here = finish(process(*words), seconds=400)
        assert here.code == 0, here.err
        done = finish(process(*command(work), *options, "--scheduler", cluster.address), seconds=600)
        assert done.code == 0, done.err
        name = options[-1] if "--grid" in options else "random-probe"
        assert contents(work / "finetune/idrid" / str(name)) == contents(local / "finetune/idrid" / str(name))
        assert done.out.count(": done on ") == (16 if "--grid" in options else 1)


def children(pid: int) -> list[int]:
    """The processes that any thread of this one has started."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(word) for thread in threads for word in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
