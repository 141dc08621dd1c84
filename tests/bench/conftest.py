"""Measurements, run by `make bench`: medians, in one run, as ratios. They print; only what is promised is asserted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
import torch
from torch import nn

from swcl_cli.training.loop import Step, parameter_groups, training_steps
from swcl_cli.training.processes import make_fabric

REPEATS = 5
Row = Callable[..., None]


def median_seconds(act: Callable[[], object], repeats: int = REPEATS, warm_up: int = 1) -> float:
    for _ in range(warm_up):
        act()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def in_turn(*ways: Iterator[object], rounds: int = 3, steps: int = 8) -> list[float]:
    """Median seconds a step of each way, run in turn, so that a busy machine slows all alike."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, seconds in zip(ways, taken, strict=True):
            next(way)
            started = time.perf_counter()
            for _ in range(steps):
                next(way)
            seconds.append((time.perf_counter() - started) / steps)
    return [statistics.median(seconds) for seconds in taken]


def sgd_steps(objective: nn.Module, batches: Iterable[Sequence[object]], precision: str = "fp32") -> Iterator[Step]:
    """Trains on the CPU with the program's loop and plain SGD."""
    fabric = make_fabric("cpu", precision)
    optimizer = torch.optim.SGD(parameter_groups(objective, 0.0), lr=1e-3)
    return training_steps(fabric, fabric.setup_module(objective), optimizer, batches, lambda _: 1e-3, seed=0)


@pytest.fixture
def row(capsys: pytest.CaptureFixture[str]) -> Row:
    """row(name, loader=0.91): one printed line of named figures."""

    def show(name: str, **figures: float | str) -> None:
        cells = ", ".join(
            f"{key.replace('_', ' ')} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in figures.items()
        )
        with capsys.disabled():
            print(f"\n{name:<52} {cells}", end="")

    return show
