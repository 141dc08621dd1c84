"""Measurements, run by `make bench`: medians, in one run, as ratios. They print; only what is promised is asserted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest

REPEATS = 5


def median_seconds(act: Callable[[], object], repeats: int = REPEATS, warm_up: int = 1) -> float:
    for _ in range(warm_up):
        act()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


@pytest.fixture
def row(capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """row(name, "loader", 0.91): one printed line of named figures."""

    def show(name: str, **figures: float | str) -> None:
        cells = ", ".join(
            f"{key.replace('_', ' ')} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in figures.items()
        )
        with capsys.disabled():
            print(f"\n{name:<52} {cells}", end="")

    return show
