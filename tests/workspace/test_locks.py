"""A folder is one process's at a time, and nobody's once the process has ended, however it ends."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from swcl_cli.errors import SwclError
from swcl_cli.workspace import LOCK, Lock, locked

HOLD = """
import sys, time
from pathlib import Path
from swcl_cli.workspace import locked
with locked(Path(sys.argv[1]), "pretrain"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that works on the folder until it is told to stop."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_told_who_works_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as process:
        with pytest.raises(SwclError) as caught:
            Lock(tmp_path / "run", "pretrain")
        assert str(caught.value) == (
            f"Another `swcl pretrain` is at work on {tmp_path}/run (process {process.pid} on {os.uname().nodename}). "
            "Wait until it ends."
        )
        process.kill()
        process.wait()
        assert (tmp_path / "run" / LOCK).exists()
        with locked(tmp_path / "run", "pretrain"):
            pass
    assert list((tmp_path / "run").iterdir()) == []


def test_the_file_of_one_who_has_just_ended_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever held the folder removes the file: one who opened that very file before must take the new one."""
    lock, locks = fcntl.lockf, 0

    def late(handle: IO[str], operation: int) -> None:
        nonlocal locks
        locks += 1
        if locks == 1:
            (tmp_path / LOCK).unlink()
        lock(handle, operation)

    monkeypatch.setattr(fcntl, "lockf", late)
    with locked(tmp_path, "prep"):
        assert locks == 2 and (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on ")


def test_a_folder_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SwclError, match=r"file/run can't be written to: Not a directory\."):
        Lock(tmp_path / "file/run", "prep")


def test_an_error_gives_the_folder_back(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path, "prep"):
        raise ZeroDivisionError
    assert not (tmp_path / LOCK).exists()
