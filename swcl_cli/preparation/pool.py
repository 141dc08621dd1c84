"""Prepare many images in several processes, in the order of the work and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from swcl_cli.preparation.jobs import Job, Outcome, prepare
from swcl_cli.workers import in_order

Work = Iterable[tuple[Job, Outcome | None]]  # each job with its earlier outcome
Prepare = Callable[[Work], Iterator[Outcome]]


@contextmanager
def preparing(workers: int) -> Iterator[Prepare]:
    """Provide a function that prepares many images in `workers` processes, or in this process for 0.

    It yields outcomes in the order of the work. Raises SwclError where a process dies.
    """
    with in_order(workers) as each:
        yield partial(each, _prepare_chunk)


def _prepare_chunk(chunk: list[tuple[Job, Outcome | None]]) -> list[Outcome]:
    return [prepare(job, earlier) for job, earlier in chunk]
