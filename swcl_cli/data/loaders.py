"""Batches from keys: the sampler yields (epoch, item), so workers persist and a run can start at any step."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from swcl_cli import chance
from swcl_cli.errors import SwclError

Key: TypeAlias = tuple[int, int]
Plan: TypeAlias = Callable[[int], list[list[Key]]]


def remembered_order(seed: int, purpose: str, count: int) -> Callable[[int], NDArray[np.int64]]:
    """epoch -> the permutation of range(count) in which it visits its items.

    Only the last one is kept: an epoch's order may hold millions of numbers.
    """
    last: dict[int, NDArray[np.int64]] = {}

    def order(epoch: int) -> NDArray[np.int64]:
        if epoch not in last:
            last.clear()
            last[epoch] = chance.generator(seed, purpose, epoch).permutation(count)
        return last[epoch]

    return order


def epoch_plan(seed: int, purpose: str, count: int, batch: int, padded: bool) -> tuple[Plan, int]:
    """The plan of an ordinary training, and its steps an epoch.

    The last batch of an epoch is smaller, or `padded` from the head of the epoch's own permutation (FACTS C7b).
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
    """For each step in [first, total): its micro-batches, loaded by `workers` processes that live as long as the run.

    plan(step) names the (epoch, item) keys of each micro-batch. What is loaded depends on the keys alone.
    """
    batches = make_loader(dataset, _MicroBatches(plan, first, total), workers, collate)
    for step in range(first, total):
        yield [next(batches) for _ in plan(step)]


def make_loader(
    dataset: Dataset[Any], batches: Any, workers: int, collate: Callable[[list[Any]], Any] | None = None
) -> Iterator[Any]:
    """Batches of the items that each list of keys names, in their order. A worker's SwclError keeps its own words.

    Workers end with the generator, or with the program: they ignore the SIGTERM by which Python ends forgotten ones.
    """
    loader: DataLoader[Any] = DataLoader(
        dataset, batch_sampler=batches, num_workers=workers, collate_fn=collate,
        worker_init_fn=_start_worker, pin_memory=torch.cuda.is_available(),
    )  # fmt: skip
    iterator: Any = iter(loader)
    end_workers = iterator._shutdown_workers if workers else lambda: None
    atexit.register(end_workers)
    try:
        yield from iterator
    except SwclError as error:
        raise SwclError(str(error).rsplit(f"{SwclError.__name__}: ", 1)[-1].strip()) from error
    finally:
        end_workers()
        atexit.unregister(end_workers)


def _start_worker(_: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach the whole process group; the parent alone decides when to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
