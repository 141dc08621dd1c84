"""A Dask scheduler and workers in processes of their own, on loopback, as people start them by hand."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.commands import environment

DASK = [sys.executable, "-m", "dask"]
SECONDS = 150  # on a machine that others load, too


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def until(reached: Callable[[], object], seconds: float = SECONDS) -> None:
    """Waits until something is so; an error after a while."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, reached
        time.sleep(0.02)


@dataclass
class Dask:
    """One scheduler with its workers. folder: for logs and what workers keep."""

    folder: Path
    protocol: str = "tcp"
    options: Sequence[str] = ()  # of certificates
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.protocol}://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        self.scheduler = self._start(
            "scheduler", "--host", self.address.rpartition(":")[0], "--port", str(self.port), "--no-dashboard"
        )
        until(self._answers)

    def start_worker(self, *options: str, before: Sequence[str] = (), **variables: str) -> subprocess.Popen[bytes]:
        """Starts a worker of one thread, without a nanny: the process is the worker. before: what starts it."""
        started = self._start(
            "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0",
            "--local-directory", str(self.folder / f"worker{len(self.workers)}"), *options, before=before, **variables,
        )  # fmt: skip
        self.workers.append(started)
        return started

    def wait_for_workers(self) -> None:
        """Waits until the scheduler knows all workers."""
        log = self.folder / "scheduler.log"
        until(lambda: log.read_bytes().count(b"Register worker") >= len(self.workers))

    def wait_for_command(self, number: int = 1) -> None:
        """Waits until so many commands have connected to it since the first."""
        until(lambda: (self.folder / "scheduler.log").read_bytes().count(b"Receive client") >= number)

    def _start(self, kind: str, *options: str, before: Sequence[str] = (), **variables: str) -> subprocess.Popen[bytes]:
        name = kind if kind == "scheduler" else f"{kind}{len(self.workers)}"
        with open(self.folder / f"{name}.log", "ab") as log:
            return subprocess.Popen(
                [*before, *DASK, kind, *options, *self.options],
                env=environment(**self.variables, **variables),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self) -> None:
        for process in (*self.workers, *([self.scheduler] if self.scheduler else [])):
            kill(process)
        self.workers.clear()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends it with SIGKILL, stopped or not."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def dask(folder: Path, workers: int, **settings: object) -> Iterator[Dask]:
    started = Dask(folder, **settings)  # type: ignore[arg-type]
    try:
        started.start_scheduler()
        for _ in range(workers):
            started.start_worker()
        started.wait_for_workers()
        yield started
    finally:
        started.stop()
