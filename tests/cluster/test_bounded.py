"""Memory of command and scheduler does not grow with the number of photographs."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swcl_cli.cluster.mapping import Cluster, cluster
from swcl_cli.preparation.jobs import Job
from tests.cluster.dask_processes import Dask, dask
from tests.cluster.work import simulated

MEGABYTE = 2**20


def resident(pid: int | str) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def jobs(count: int) -> Iterator[Job]:
    for number in range(count):
        name = f"{number:07}_left"
        yield Job(name, 448, {"photograph": Path(f"source/{name}.jpeg")}, {"photograph": Path(f"prepared/{name}.jpg")})


def growth(started: Dask, workers: Cluster, count: int) -> tuple[int, int, float]:
    """Bytes by which this process and the scheduler have grown after so many photographs, and seconds to the first."""
    assert started.scheduler is not None
    before = resident("self"), resident(started.scheduler.pid)
    begun, first = time.monotonic(), 0.0
    for number, outcome in enumerate(workers.each(simulated, jobs(count))):
        first = first or time.monotonic() - begun
        assert outcome.image_id == f"{number:07}_left"
    return resident("self") - before[0], resident(started.scheduler.pid) - before[1], first


@pytest.mark.parametrize(
    ("few", "many", "most"), [(400, 8_000, 40), pytest.param(10_000, 1_000_000, 200, marks=pytest.mark.slow)]
)
def test_memory_is_bounded(tmp_path: Path, few: int, many: int, most: int) -> None:
    with dask(tmp_path, workers=1) as started, cluster(started.address, tmp_path, "test") as workers:
        workers.require([])
        growth(started, workers, few)
        begun = time.monotonic()
        here, there, first = growth(started, workers, many)
        seconds = time.monotonic() - begun
        print(f"{many:,}: {here / MEGABYTE:.0f} and {there / MEGABYTE:.0f} MB, {seconds:.0f} s, first {first:.2f} s")
        assert here < most * MEGABYTE and there < most * MEGABYTE
        assert first < 5
