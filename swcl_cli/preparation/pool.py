"""Prepare many images in several processes, in the order of the work and in bounded memory."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice

from swcl_cli.errors import SwclError
from swcl_cli.preparation.jobs import Job, Outcome, prepare
from swcl_cli.workers import in_want, start_worker

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
    with in_want(workers):  # SIGTERM is how the executor ends the other workers where one died
        executor = ProcessPoolExecutor(workers, context, start_worker, (signal.SIGTERM,))
    try:
        if forks:
            with in_want(workers):
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
    with in_want(ahead // AHEAD):
        while chunk := list(islice(pairs, CHUNK)):
            waiting.append(executor.submit(_prepare_chunk, chunk))
            if len(waiting) >= ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _prepare_chunk(chunk: list[tuple[Job, Outcome | None]]) -> list[Outcome]:
    return [prepare(job, earlier) for job, earlier in chunk]
