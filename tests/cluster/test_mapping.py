"""Work in chunks on real workers: its order, its bounds, and what happens to pieces that end workers."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from swcl_cli.cluster.mapping import AHEAD, CHUNK, cluster
from swcl_cli.errors import SwclError
from tests.cluster.dask_processes import Dask, dask, until
from tests.cluster.work import deadly as deadly_on_13
from tests.cluster.work import doubled, refused, slowly_doubled


@pytest.fixture(scope="module")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    with dask(tmp_path_factory.mktemp("dask"), workers=2) as started:
        yield started


def test_results_come_in_order_and_work_is_read_as_needed(tmp_path: Path, loopback: Dask) -> None:
    read = []

    def work() -> Iterator[int]:
        for number in range(300):
            read.append(number)
            yield number

    with cluster(loopback.address, tmp_path, "test") as workers:
        workers.require([])
        results = []
        for result in workers.each(slowly_doubled, work()):
            results.append(result)
            assert len(read) - len(results) <= CHUNK * (2 * AHEAD + 1)
        assert results == [2 * number for number in range(300)]
        assert list(workers.each(doubled, [])) == []


def test_work_that_is_not_wanted_any_more_is_cancelled(tmp_path: Path, loopback: Dask) -> None:
    with cluster(loopback.address, tmp_path, "test") as workers:
        with contextlib.closing(workers.each(slowly_doubled, iter(range(10_000)))) as results:
            assert next(results) == 0
        assert list(workers.each(doubled, range(3))) == [0, 2, 4]
        until(lambda: not workers.client.futures)


def test_an_error_keeps_its_words(tmp_path: Path, loopback: Dask) -> None:
    with (
        cluster(loopback.address, tmp_path, "test") as workers,
        pytest.raises(SwclError, match=r"^This can't be written\.$"),
    ):
        list(workers.each(refused, range(3)))


def test_a_piece_that_ends_workers_ends_none_of_its_neighbours(tmp_path: Path) -> None:
    allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with dask(tmp_path, workers=3, variables=allowed) as started, cluster(started.address, tmp_path, "test") as workers:
        results = list(workers.each(deadly_on_13, range(40), lambda piece, reason: (piece, reason.split()[0])))
        assert results == [2 * number if number != 13 else (13, "each") for number in range(40)]
        assert sum(worker.poll() is not None for worker in started.workers) == 2
        started.start_worker()
        with pytest.raises(SwclError, match=r"^13: each worker died that worked on it, perhaps for want of memory\.$"):
            list(workers.each(deadly_on_13, [13]))


def test_ctrl_c_while_an_object_is_deleted_is_not_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Deleted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with dask(tmp_path, workers=0) as empty, cluster(empty.address, tmp_path, "test") as workers:
        Deleted()
        with pytest.raises(KeyboardInterrupt):
            workers.wait_for_workers()
    assert "Exception ignored" not in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
