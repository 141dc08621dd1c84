"""Start worker processes alike: they leave signals to their parent, and end with it, however it ends."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

from swcl_cli.errors import SwclError, Unwritten

CHUNK = 8
AHEAD = 4  # chunks that may wait for each worker
Work = Iterable[Any]
Each = Callable[[Callable[[list[Any]], list[Any]], Work], Iterator[Any]]

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a scheduler, a closed terminal
ADDRESSES = 5_000_000_000  # bytes: what a training maps before its first step, and some room
ROOM = 400_000_000  # bytes that work needs beside what is loaded: with less pyarrow waits for its threads for ever
LOADING = 120  # seconds
SCARCE = {  # by the code of an OSError
    errno.EMFILE: "too few file descriptors (ulimit -n)",
    errno.ENFILE: "too few file descriptors in the system",
    errno.ENOMEM: "too little memory",
    errno.EAGAIN: "too few processes (ulimit -u)",
    errno.ENOSPC: "no space left in /dev/shm",
}
SCARCE_WORDS = {  # in a RuntimeError of torch
    "shared memory": "too little space in /dev/shm",
    "bus error": "too little space in /dev/shm",
    "too many open files": SCARCE[errno.EMFILE],
    "no space left": SCARCE[errno.ENOSPC],
    "can't allocate memory": SCARCE[errno.ENOMEM],
    "can't start new thread": SCARCE[errno.EAGAIN],
    "cannot allocate memory": SCARCE[errno.ENOMEM],
    "unable to mmap": SCARCE[errno.ENOMEM],
    "failed to map segment": SCARCE[errno.ENOMEM],
    "bad_alloc": SCARCE[errno.ENOMEM],
    "exited unexpectedly": "a worker process died, perhaps for want of memory or files",
    "killed by signal": "a worker process was killed, perhaps for want of memory",
}


def start_worker(*heeded: signal.Signals) -> None:
    """Ignore the signals that reach all processes, since the parent alone decides when to stop, and end with it.

    heeded: those that end the worker all the same.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL if number in heeded else signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def in_order(workers: int) -> Iterator[Each]:
    """Provide a function that does work in `workers` processes, or in this process for 0: each(function, work).

    function makes a list of results of a list of pieces. It yields results in the order of the work. Raises SwclError
    where a process dies. Processes are forked at once: later each would keep a copy of all that this process has read
    by then.
    """
    if workers == 0:
        yield lambda function, work: (result for piece in work for result in function([piece]))
        return
    forks = sys.platform == "linux"
    context = multiprocessing.get_context("fork" if forks else "spawn")
    with in_want(workers):  # SIGTERM is how the executor ends the other workers where one died
        executor = ProcessPoolExecutor(workers, context, start_worker, (signal.SIGTERM,))
    try:
        if forks:
            with in_want(workers):
                executor.submit(int).result()
        yield partial(_each, executor, workers)
    except BrokenExecutor as error:
        raise SwclError("A worker process died, perhaps for want of memory. Use fewer --workers.") from error
    finally:
        executor.shutdown(cancel_futures=True)


def _each(
    executor: ProcessPoolExecutor, workers: int, function: Callable[[list[Any]], list[Any]], work: Work
) -> Iterator[Any]:
    """Do the work in chunks, reading it only as needed, so that memory does not grow with its length."""
    waiting: deque[Future[list[Any]]] = deque()
    pieces = iter(work)
    with in_want(workers):
        while chunk := list(islice(pieces, CHUNK)):
            waiting.append(executor.submit(function, chunk))
            if len(waiting) >= AHEAD * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


@contextmanager
def in_want(workers: int) -> Iterator[None]:
    """Turn an error inside that comes of scarce memory, files or processes into a SwclError that names the remedy.

    Processes that were started inside are killed then: some wait for others that could not be started.
    """
    before = {child.pid for child in multiprocessing.active_children()}
    try:
        yield
    except Unwritten:
        raise
    except (OSError, RuntimeError, MemoryError) as error:
        reason = lack(error)
        for child in multiprocessing.active_children():
            if child.pid not in before:
                child.kill()
        if not (workers and reason):
            raise
        raise SwclError(f"The {workers} worker processes can't work here: {reason}. Use --workers 0.") from error


def scarce_addresses(module: str) -> str:
    """Say that the address space is limited (ulimit -v) to less than a training maps, which may end without a word.

    Empty where it is not. module: what is going to be loaded. Raises SwclError where PyTorch can't be loaded: a process
    of its own tries it first, since loading may abort.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or limit >= ADDRESSES:
        return ""
    told = f"ulimit -v leaves {limit / 1e9:.1f} GB of addresses"
    if not _loads(module, limit - ROOM):
        raise SwclError(f"{told}, too few to load PyTorch and to work: raise it (ulimit -v unlimited).")
    most = f"{ADDRESSES / 1e9:.0f}"
    return f"{told}, and PyTorch may map some {most}: if the command aborts, raise it (ulimit -v unlimited)."


def _loads(module: str, addresses: int) -> bool:
    """Return whether a process that has so many bytes of addresses can load a module."""
    limits = f"setrlimit(RLIMIT_AS, ({addresses}, {addresses})); setrlimit(RLIMIT_CORE, (0, 0))"
    command = [sys.executable, "-c", f"from resource import *; {limits}; import {module}"]
    nothing = subprocess.DEVNULL
    try:
        done = subprocess.run(command, stdin=nothing, stdout=nothing, stderr=nothing, timeout=LOADING, check=False)
    except subprocess.TimeoutExpired:
        return False
    return addresses > 0 and done.returncode == 0


def lack(error: BaseException) -> str:
    """Say what the computer has too little of; empty where the error says nothing of that kind."""
    if isinstance(error, MemoryError):
        return SCARCE[errno.ENOMEM]
    if isinstance(error, OSError) and error.errno in SCARCE:
        return SCARCE[error.errno]
    said = str(error).lower()
    return next((words for sign, words in SCARCE_WORDS.items() if sign in said), "")
