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
AHEAD = 4  # chunks that may wait for each worker
Work = Iterable[tuple[Job, Outcome | None]]  # each job with its earlier outcome
Prepare = Callable[[Work], Iterator[Outcome]]


@contextmanager
def preparing(workers: int) -> Iterator[Prepare]:
    """Provide a function that prepares many images in `workers` processes, or in this process for 0.

    It yields outcomes in the order of the work. Raises SwclError where a process dies. Processes are forked at once:
    later each would keep a copy of all that this process has read by then.
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
    """Prepare the work in chunks, reading it only as needed, so that memory does not grow with its length."""
    waiting: deque[Future[list[Outcome]]] = deque()
    pairs = iter(work)
    while chunk := list(islice(pairs, CHUNK)):
        waiting.append(executor.submit(_prepare_chunk, chunk))
        if len(waiting) >= ahead:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _prepare_chunk(chunk: list[tuple[Job, Outcome | None]]) -> list[Outcome]:
    return [prepare(job, earlier) for job, earlier in chunk]


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end at once when the parent was killed, instead of waiting forever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
