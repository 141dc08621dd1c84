"""What `swcl audit` costs: candidates among 100,000 photographs, by made-up numbers with planted pairs."""

from __future__ import annotations

import resource
import time

import numpy as np
import pytest

from swcl_cli.audit.descriptor import LENGTH
from swcl_cli.audit.search import nearest
from swcl_cli.audit.turns import turned_numbers

pytestmark = pytest.mark.bench
PHOTOGRAPHS, PLANTED = 100_000, 400
SECONDS, CORES, GIGABYTES = 120, 2, 2.0


def test_candidates_among_many() -> None:
    """All planted pairs are found, however they lie, in two minutes of two cores, and two gigabytes."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(PHOTOGRAPHS, LENGTH)).astype(np.float32) + rng.normal(size=LENGTH).astype(np.float32)
    for place in range(PLANTED):
        noise = 0.3 * np.linalg.norm(numbers[place]) / LENGTH**0.5 * rng.normal(size=(1, LENGTH)).astype(np.float32)
        numbers[-1 - place] = turned_numbers(numbers[place : place + 1] + noise, place % 8)[0]
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    before, begun = time.process_time(), time.perf_counter()
    found = nearest(numbers)
    seconds, elapsed = time.process_time() - before, time.perf_counter() - begun
    pairs = set(zip(found.one.tolist(), found.other.tolist(), strict=True))
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{PHOTOGRAPHS:,} photographs: {elapsed:.0f} s, {seconds:.0f} s of a core, {len(pairs):,} candidates, "
        f"{gigabytes:.2f} GB"
    )
    assert all((place, PHOTOGRAPHS - 1 - place) in pairs for place in range(PLANTED))
    assert seconds < CORES * SECONDS and gigabytes < GIGABYTES
