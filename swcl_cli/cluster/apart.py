"""Do work in a fresh process of its own, on a worker: signals, threads and memory are then those of this work alone.

A worker runs its tasks in threads, where no signal can be handled, and is a daemon, which may have no children of
multiprocessing's.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from swcl_cli import console
from swcl_cli.errors import SwclError

CALL = "from swcl_cli.cluster.apart import main; main()"
POLL_SECONDS = 0.5
ATTEMPTS = 3  # at work whose process is killed
OF_THREADS = ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # Dask's nanny sets the first to 1, whatever we ask for
STOP_SECONDS = 60  # for a process to save its state in


class Done(NamedTuple):
    """Hold what work in a process of its own gave, what it warned of, and where it was done."""

    result: Any
    warnings: list[str]
    host: str
    seconds: float


def do_apart(function: Callable[[Any], Any], piece: Any, threads: int, unwanted: Callable[[], bool]) -> Done | None:
    """Do function(piece) in a process of so many threads; None where it was stopped, since it is not wanted any more.

    Then SIGTERM stops it, upon which a training saves its state. Raises what the function raises, and SwclError where
    the process is killed again and again.
    """
    started, code = time.monotonic(), 0
    for _ in range(ATTEMPTS):
        ended, answer = _attempt(pickle.dumps((function, piece)), threads, unwanted)
        if ended is None:
            return None
        code = ended
        if answer:
            result, warnings = pickle.loads(answer)
            if isinstance(result, Exception):
                raise result
            return Done(result, warnings, os.uname().nodename, time.monotonic() - started)
    how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
    raise SwclError(
        f"On {os.uname().nodename} its process was {how} {ATTEMPTS} times, perhaps for want of memory; the log of "
        "the worker may say more."
    )


def _attempt(payload: bytes, threads: int, unwanted: Callable[[], bool]) -> tuple[int | None, bytes]:
    """Return the exit code, None where it was stopped, and the pickled answer of a process."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_THREADS}
    variables = {**kept, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-c", CALL, str(os.getpid())]
    with subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        given: bytes | None = payload
        stopped_at = 0.0
        while True:
            try:
                answer, _ = process.communicate(given, timeout=POLL_SECONDS)
            except subprocess.TimeoutExpired:
                given = None
                if not stopped_at and unwanted():
                    process.terminate()
                    stopped_at = time.monotonic()
                if stopped_at and time.monotonic() - stopped_at > STOP_SECONDS:
                    process.kill()
            else:
                return (None if stopped_at else process.returncode), answer


def main() -> None:
    """Do the pickled work of standard input, and write its pickled answer to standard output.

    What the work prints goes to standard error, the worker's log, but for its warnings, which are part of the answer.
    """
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _end_with(int(sys.argv[1]))
    told = io.StringIO()
    console.warnings.file = told
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the command decides
    function, piece = pickle.loads(sys.stdin.buffer.read())
    try:
        result = function(piece)
    except SwclError as error:
        result = error
    warnings = [line.removeprefix("warning: ") for line in told.getvalue().splitlines()]
    with answer:
        pickle.dump((result, warnings), answer)


def _end_with(parent: int) -> None:
    """End this process soon after its parent, however that ends."""

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
