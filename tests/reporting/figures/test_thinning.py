from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swcl_cli.reporting.figures.thinning import corners, thinned


def test_few_points_stay_as_they_are() -> None:
    x = np.arange(10.0)
    assert [part.tolist() for part in thinned(x, x**2, 10)] == [x.tolist(), (x**2).tolist()]


@given(st.integers(11, 3000), st.integers(0, 5))
def test_of_many_points_the_ends_and_each_peak_are_left(count: int, seed: int) -> None:
    x, y = np.arange(count, dtype=np.float64), np.random.default_rng(seed).normal(size=count)
    kept, heights = thinned(x, y, 10)
    assert len(kept) <= 10 and (np.diff(kept) > 0).all()
    assert kept[0] == 0 and kept[-1] == count - 1
    assert heights.tolist() == y[kept.astype(np.int64)].tolist()
    assert {y.min(), y.max()} <= set(heights)


def test_points_on_straight_parts_go() -> None:
    x = np.array([0, 0, 0, 0.1, 0.2, 0.4, 0.4, 0.6, 0.8, 1.0])
    y = np.array([0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.6, 0.7, 0.8, 0.8])
    found = corners(x, y)
    assert np.transpose(found).tolist() == [[0, 0], [0, 0.2], [0.4, 0.2], [0.4, 0.6], [0.8, 0.8], [1, 0.8]]


@pytest.mark.parametrize("count", [1, 2])
def test_a_line_of_one_or_two_points(count: int) -> None:
    ends = np.linspace(0, 1, count)
    assert [part.tolist() for part in corners(ends, ends)] == [ends.tolist()] * 2


def test_many_corners_are_thinned_evenly_and_hardly_seen() -> None:
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 2, 20_000)
    x, y = (np.concatenate([[0], np.cumsum(part)]) / part.sum() for part in (steps, 1 - steps))
    kept_x, kept_y = corners(x, y, 200)
    assert len(kept_x) <= 200
    assert (kept_x[0], kept_y[0], kept_x[-1], kept_y[-1]) == (0, 0, 1, 1)
    away = np.abs(np.interp(x + y, kept_x + kept_y, kept_x) - x)
    assert away.max() <= 2 / 200
