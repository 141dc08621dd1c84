"""Prepare many images in several processes, in the order of the work and in bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice

from swcl_cli.errors import SwclError
from swcl_cli.preparation.jobs import Job, Outcome, prepare

CHUNK = 8
AHEAD = 4  # chunks a worker that may wait
Work = Iterable[tuple[Job, Outcome | None]]  # what is to be prepared, and what became of it before
Prepare = Callable[[Work], Iterator[Outcome]]


@contextmanager
def preparing(workers: int) -> Iterator[Prepare]:
    """Gives the function that prepares many: outcomes in the order of the work, from `workers` processes; 0 works in
    this one. Raises SwclError where a process dies.

    Processes are forked at once: later each would keep a copy of all that this one has read by then.
    """
    if workers == 0:
        yield lambda work: (prepare(job, earlier) for job, earlier in work)
        return
    forks = sys.platform == "linux"
    context = multiprocessing.get_context("fork" if forks else "spawn")
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        if forks:
            executor.submit(int).result()
        yield partial(_prepare_all, executor, AHEAD * workers)
    except BrokenExecutor as error:
        raise SwclError("A worker process died, perhaps for want of memory. Use fewer --workers.") from error
    finally:
        executor.shutdown(cancel_futures=True)


def _prepare_all(executor: ProcessPoolExecutor, ahead: int, work: Work) -> Iterator[Outcome]:
    """`work` is drawn as it is needed, so that memory does not grow with its length."""
    waiting: deque[Future[list[Outcome]]] = deque()
    left = iter(work)
    while chunk := list(islice(left, CHUNK)):
        waiting.append(executor.submit(_prepare_chunk, chunk))
        if len(waiting) >= ahead:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _prepare_chunk(chunk: list[tuple[Job, Outcome | None]]) -> list[Outcome]:
    return [prepare(job, earlier) for job, earlier in chunk]


def _start_worker() -> None:
    """Ctrl-C is the parent's business; a worker whose parent was killed ends at once instead of waiting forever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
