"""`prep --scheduler`: the bytes of one process, whatever happens to workers, scheduler and command meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swcl_cli.workspace import JOURNAL
from tests import downloads
from tests.cluster.dask_processes import Dask, dask, kill, until
from tests.commands import CALL, environment, finish, process, swcl
from tests.prep_runs import NORMAL, contents, quarantine

PATIENTS = 100


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eyes of PATIENTS patients, of which one file is no photograph."""
    words = dict.fromkeys(range(PATIENTS), (NORMAL, "drusen"))
    source = downloads.odir_kaggle(tmp_path_factory.mktemp("source"), words)
    next(source.rglob("7_left.jpg")).write_bytes(b"no photograph")
    return source


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, source: Path) -> dict[str, bytes]:
    """What one process makes of them."""
    workspace = tmp_path_factory.mktemp("local")
    done = swcl("prep", "odir", source, "--size", 80, "--workers", 0, "--workspace", workspace)
    assert done.code == 0, done.err
    return contents(workspace)


@pytest.fixture(scope="module")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A scheduler and a worker that nothing is done to."""
    with dask(tmp_path_factory.mktemp("dask"), workers=1) as started:
        yield started


def command(source: Path, workspace: Path, *options: object) -> list[object]:
    return ["prep", "odir", source, "--size", 80, "--workspace", workspace, *options]


def prepared(workspace: Path) -> int:
    journal = workspace / "data/odir" / JOURNAL
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def test_killed_workers_scheduler_and_command(
    tmp_path: Path, cluster: Dask, source: Path, local: dict[str, bytes]
) -> None:
    """One after the other, each in the middle of the work; the scheduler's end, and Ctrl-C, are a line each."""
    workspace = tmp_path / "work"
    for worker in cluster.workers:
        os.kill(worker.pid, signal.SIGSTOP)
    first = process(*command(source, workspace), SWCL_SCHEDULER=cluster.address)
    cluster.wait_for_command(1)
    os.kill(cluster.workers[0].pid, signal.SIGCONT)
    kill(cluster.workers[1])
    until(lambda: prepared(workspace) or first.poll() is not None)
    os.kill(cluster.workers[0].pid, signal.SIGSTOP)
    assert first.poll() is None and cluster.scheduler is not None
    kill(cluster.scheduler)
    done = finish(first, seconds=400)
    assert done.code == 1 and done.err == (
        f"error: The Dask scheduler at {cluster.address} is gone. Start it and its workers again: the same command "
        "goes on.\n"
    )
    before = prepared(workspace)
    assert 0 < before < 2 * PATIENTS
    kill(cluster.workers[0])

    cluster.start_scheduler()
    stopped = process(*command(source, workspace, "--scheduler", cluster.address))
    cluster.wait_for_command(2)
    stopped.send_signal(signal.SIGINT)
    done = finish(stopped)
    assert done.code == 130 and "Traceback" not in done.err and prepared(workspace) == before

    worker = cluster.start_worker()
    cluster.wait_for_workers()
    killed = process(*command(source, workspace, "--scheduler", cluster.address))
    until(lambda: prepared(workspace) > before or killed.poll() is not None)
    assert killed.poll() is None
    kill(worker)
    cluster.start_worker()
    done = finish(killed)
    assert done.code == 0, done.err
    assert contents(workspace) == local
    assert not list(workspace.rglob(".cluster*")) and not list(workspace.rglob("*.partial"))
    assert "killed its workers" not in {problem for _, problem in quarantine(workspace, "odir")}


def test_an_image_that_kills_workers_is_set_aside_and_the_rest_goes_on(
    tmp_path: Path, source: Path, local: dict[str, bytes]
) -> None:
    """It is tried alone, so that none dies with it, and once more by the next command."""
    preload = tmp_path / "deadly.py"
    preload.write_text(DEADLY)
    allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with dask(tmp_path, workers=0, variables=allowed) as cluster:
        for _ in range(3):  # two die: with the chunk, and with the image alone
            cluster.start_worker("--preload", str(preload))
        cluster.wait_for_workers()
        done = swcl(*command(source, tmp_path / "work", "--scheduler", cluster.address))
        assert done.code == 0, done.err
        assert sum(worker.poll() is not None for worker in cluster.workers) == 2
        names = {Path(name).name: problem for name, problem in quarantine(tmp_path / "work", "odir")}
        assert names["11_left.jpg"] == "killed its workers" and list(names.values()).count("killed its workers") == 1
        kill(cluster.workers[0])
        cluster.start_worker()
        for worker in cluster.workers[:3]:
            kill(worker)
        cluster.wait_for_workers()
        done = swcl(*command(source, tmp_path / "work", "--scheduler", cluster.address))
        assert (
            f"1 photographs to prepare, {2 * PATIENTS - 1} unchanged" in done.out
            and contents(tmp_path / "work") == local
        )


DEADLY = """
import os, signal
from swcl_cli.preparation import pool

def deadly(job, earlier=None, original=pool.prepare):
    if job.image_id == "11_left":
        os.kill(os.getpid(), signal.SIGKILL)
    return original(job, earlier)

pool.prepare = deadly
"""


def test_the_client_of_prep_loads_no_pytorch(tmp_path: Path, source: Path, loopback: Dask) -> None:
    """A login node may have little memory, and its start takes seconds."""
    program = f"""
import sys
from swcl_cli.cli import app
sys.argv = ["swcl", *{[str(word) for word in command(source, tmp_path, "--scheduler", loopback.address)]!r}]
try:
    app()
except SystemExit as stop:
    assert not stop.code
assert "distributed" in sys.modules and "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_relative_paths_and_archives_reach_the_workers(
    tmp_path: Path, source: Path, local: dict[str, bytes], loopback: Dask
) -> None:
    """Workers have another current directory, and open a .zip themselves."""
    shutil.make_archive(str(tmp_path / "odir"), "zip", source)
    words = command(Path("odir.zip"), Path("work"), "--scheduler", loopback.address)
    started = [sys.executable, "-c", CALL, *map(str, words)]
    done = subprocess.run(started, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    images = {name: held for name, held in contents(tmp_path / "work").items() if name.endswith(".jpg")}
    assert images == {name: held for name, held in local.items() if name.endswith(".jpg")}


def test_a_worker_that_does_not_see_the_workspace_is_refused(tmp_path: Path, source: Path) -> None:
    """It has a disk of its own mounted there, as a machine that shares no folder with the command."""
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"']
    (tmp_path / "work").mkdir()
    if shutil.which("unshare") is None or subprocess.run([*hide, tmp_path / "work", "true"]).returncode:
        pytest.skip("this machine permits no mount namespaces")
    with dask(tmp_path, workers=1) as cluster:
        cluster.start_worker(before=[*hide, str(tmp_path / "work")])
        cluster.wait_for_workers()
        done = swcl(*command(source, tmp_path / "work", "--scheduler", cluster.address))
        assert done.code == 1 and done.err == (
            f"error: The worker on {os.uname().nodename} does not see {tmp_path / 'work'}: it has to lie "
            "in a folder that all machines share.\n"
        )
    (tmp_path / "dask").mkdir()
    with dask(tmp_path / "dask", workers=1) as cluster:
        cluster.start_worker(before=[*hide, str(source)])
        cluster.wait_for_workers()
        done = swcl(*command(source, tmp_path / "work", "--scheduler", cluster.address))
        assert done.code == 1
        assert done.err.startswith(f"error: The worker on {os.uname().nodename} does not see {source}/")
        assert not (tmp_path / "work/data/odir/quarantine.csv").exists()
