"""Prepare many images in several processes, in the order of the work and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, islice, tee
from pathlib import Path

from swcl_cli.cluster.mapping import Cluster, cluster
from swcl_cli.errors import SwclError
from swcl_cli.preparation.jobs import Job, Outcome, prepare
from swcl_cli.workers import in_order

Piece = tuple[Job, Outcome | None]  # a job with its earlier outcome
Work = Iterable[Piece]
Prepare = Callable[[Work], Iterator[Outcome]]
DEADLY = "killed its workers"  # the problem of an image on which each worker of a cluster dies


@contextmanager
def preparing(workers: int) -> Iterator[Prepare]:
    """Provide a function that prepares many images in `workers` processes, or in this process for 0.

    It yields outcomes in the order of the work. Raises SwclError where a process dies.
    """
    with in_order(workers) as each:
        yield partial(each, _prepare_chunk)


@contextmanager
def preparing_on(scheduler: str, workspace: Path, source: Path) -> Iterator[Prepare]:
    """Provide the same function, for the workers of a Dask cluster.

    An image on which each worker dies is set aside, and tried again next time. Raises SwclError where the cluster can't
    be used, or a worker doesn't see the workspace or the source.
    """
    with cluster(scheduler, workspace, "prep") as workers:
        yield partial(_on_workers, workers, source)


def _on_workers(workers: Cluster, source: Path, work: Work) -> Iterator[Outcome]:
    pieces = iter(work)
    first = list(islice(pieces, 1))
    workers.require([source] if source.is_file() else (path for job, _ in first for path in job.inputs.values()))
    jobs, sent = tee((_absolute(job), earlier) for job, earlier in chain(first, pieces))
    for (job, _), outcome in zip(jobs, workers.each(_prepare_chunk, sent, _set_aside), strict=True):
        _require_seen(job, outcome)
        yield outcome


def _absolute(job: Job) -> Job:
    """Return the job for a worker, which has another current directory."""
    inputs, outputs = ({kind: path.absolute() for kind, path in paths.items()} for paths in (job.inputs, job.outputs))
    return replace(job, inputs=inputs, outputs=outputs)


def _set_aside(piece: Piece, reason: str) -> Outcome:
    """Return the outcome of an image on which workers die. Without stamps it is no current one: it is tried again."""
    job, _ = piece
    return Outcome(job.image_id, job.recipe, {}, {}, {}, problem=DEADLY, detail=reason)


def _require_seen(job: Job, outcome: Outcome) -> None:
    """Raise SwclError where a file is here, but was not on the worker: it would count as unreadable."""
    for kind, path in job.inputs.items():
        if outcome.problem != DEADLY and kind not in outcome.stamps and path.exists():
            raise SwclError(f"A worker did not see {path}: all machines have to share the folder of SOURCE.")


def _prepare_chunk(chunk: list[Piece]) -> list[Outcome]:
    return [prepare(job, earlier) for job, earlier in chunk]
