"""Nearest neighbours over all turns, against every product written out; planted pairs among many."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from swcl_cli.audit import search
from swcl_cli.audit.descriptor import LENGTH
from swcl_cli.audit.search import LEAST_ALIKE, NEAREST, Candidates, nearest
from swcl_cli.audit.turns import TURNS, turned_numbers

Numbers = NDArray[np.float32]


def made_up(count: int, seed: int = 0, spread: float = 1.0) -> Numbers:
    """Rows of unit length; with a small spread all are alike, as hazy photographs are."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(1, LENGTH)) + spread * rng.normal(size=(count, LENGTH))
    return np.asarray(numbers / np.linalg.norm(numbers, axis=1, keepdims=True), np.float32)


def pairs_of(found: Candidates) -> dict[tuple[int, int], tuple[int, float]]:
    columns = (column.tolist() for column in found)
    return {(one, other): (turn, alike) for one, other, turn, alike in zip(*columns, strict=True)}


def by_brute_force(numbers: Numbers) -> dict[tuple[int, int], tuple[int, float]]:
    count = len(numbers)
    products = np.stack([numbers @ turned_numbers(numbers, turn).T for turn in TURNS])
    pairs = {}
    for one in range(count):
        others = sorted(
            (other for other in range(count) if other != one), key=lambda other: -products[:, one, other].max()
        )
        for other in others[:NEAREST]:
            first, second = min(one, other), max(one, other)
            if products[:, first, second].max() >= LEAST_ALIKE:
                pairs[first, second] = (
                    int(products[:, first, second].argmax()),
                    float(products[:, first, second].max()),
                )
    return pairs


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 40, 61])
@pytest.mark.parametrize("block", [7, 16, 2048])
def test_as_by_brute_force(count: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", block)
    numbers = made_up(count, spread=0.6)
    found, wanted = pairs_of(nearest(numbers)), by_brute_force(numbers)
    assert found.keys() == wanted.keys() and (count < 3 or wanted)
    for pair, (turn, alike) in found.items():
        assert turn == wanted[pair][0] and alike == pytest.approx(wanted[pair][1], abs=1e-5)


def test_planted_pairs_are_found_with_their_turns() -> None:
    numbers = made_up(3000)
    rng = np.random.default_rng(1)
    for place, turn in enumerate(TURNS):
        noisy = numbers[place : place + 1] + 0.02 * rng.normal(size=(1, LENGTH)).astype(np.float32)
        numbers[2990 + place] = turned_numbers(noisy / np.linalg.norm(noisy), turn)
    found = pairs_of(nearest(numbers))
    for place, turn in enumerate(TURNS):
        back, alike = found[place, 2990 + place]
        assert alike > 0.9
        assert np.allclose(turned_numbers(numbers[2990 + place], back), numbers[place], atol=0.1), turn


def test_progress_counts_each_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "BLOCK", 16)
    done: list[int] = []
    nearest(made_up(40), done.append)
    assert sum(done) == 40
