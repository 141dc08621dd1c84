"""What the tests on workers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.dask_processes import Dask, dask


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the commands in processes of their own have, so that sums are equal to the bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Dask]:
    """A scheduler and two workers of one thread each."""
    folder = tmp_path / "dask"
    folder.mkdir()
    with dask(folder, workers=2) as started:
        yield started
