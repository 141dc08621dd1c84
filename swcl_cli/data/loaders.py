"""Load batches by keys (epoch, item), so that workers live as long as a run, and a run can start at any step."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.queues import Queue
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from swcl_cli import chance
from swcl_cli.errors import SwclError
from swcl_cli.workers import in_want, start_worker

Key: TypeAlias = tuple[int, int]
Plan: TypeAlias = Callable[[int], list[list[Key]]]

FEW = 64  # prepared photographs: they are read here in the time that a worker takes to start


def remembered_order(seed: int, purpose: str, count: int) -> Callable[[int], NDArray[np.int64]]:
    """Return a function that gives the order of each epoch: a permutation of range(count), drawn by the epoch's key.

    It remembers only the last epoch: an order may hold millions of numbers.
    """
    last: dict[int, NDArray[np.int64]] = {}

    def order(epoch: int) -> NDArray[np.int64]:
        if epoch not in last:
            last.clear()
            last[epoch] = chance.generator(seed, purpose, epoch).permutation(count)
        return last[epoch]

    return order


def epoch_plan(seed: int, purpose: str, count: int, batch: int, padded: bool) -> tuple[Plan, int]:
    """Plan an ordinary training; return the plan and the steps of an epoch.

    The last batch of an epoch is smaller, or `padded` from the start of the epoch's own permutation (FACTS C7b).
    """
    steps = -(-count // batch)
    order = remembered_order(seed, purpose, count)

    def plan(step: int) -> list[list[Key]]:
        epoch, number = divmod(step, steps)
        places = np.arange(number * batch, (number + 1) * batch)
        places = places % count if padded else places[places < count]
        return [[(epoch, int(item)) for item in order(epoch)[places]]]

    return plan, steps


class _MicroBatches(Sampler[list[Key]]):
    def __init__(self, plan: Plan, first: int, total: int) -> None:
        self.plan, self.first, self.total = plan, first, total

    def __iter__(self) -> Iterator[list[Key]]:
        for step in range(self.first, self.total):
            yield from self.plan(step)


def step_batches(
    dataset: Dataset[Any],
    plan: Plan,
    first: int,
    total: int,
    workers: int,
    collate: Callable[[list[Any]], Any] | None = None,
) -> Iterator[Sequence[Any]]:
    """Yield the micro-batches of each step in [first, total), loaded by the same `workers` processes throughout.

    plan(step) names the (epoch, item) keys of each micro-batch. The contents depend on the keys alone.
    """
    batches = make_loader(dataset, _MicroBatches(plan, first, total), workers, collate)
    for step in range(first, total):
        yield [next(batches) for _ in plan(step)]


def workers_for(items: int, workers: int) -> int:
    """Return how many of the workers so many photographs are worth: none for a few, such as a small validation's."""
    return workers if items >= FEW else 0


def make_loader(
    dataset: Dataset[Any], batches: Any, workers: int, collate: Callable[[list[Any]], Any] | None = None
) -> Iterator[Any]:
    """Yield a batch for each list of keys, in their order. A worker's SwclError keeps its own words.

    Workers end with the generator, or with the program: they ignore the SIGTERM by which Python ends stray workers.
    Raises SwclError, which names the remedy, where memory, shared memory or file descriptors don't suffice for them.
    """
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_start_worker,
        pin_memory=torch.cuda.is_available(),
    )
    with in_want(workers):
        iterator: Any = iter(loader)
    end_workers = iterator._shutdown_workers if workers else lambda: None
    atexit.register(end_workers)
    try:
        with in_want(workers):
            yield from iterator
    except SwclError as error:
        raise SwclError(str(error).rsplit(f"{SwclError.__name__}: ", 1)[-1].strip()) from error
    finally:
        end_workers()
        atexit.unregister(end_workers)


def _start_worker(_: int) -> None:
    start_worker()
    torch.set_num_threads(1)
    hooked: Any = Queue
    hooked._on_queue_feeder_error = staticmethod(_end_worker)


def _end_worker(error: Exception, _: object) -> None:
    """End a worker whose batch can't be sent: a queue would print that and go on, and the parent wait for ever."""
    os.write(2, f"A batch can't be sent: {error}\n".encode())
    os._exit(1)
