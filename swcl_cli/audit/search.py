"""Find the photographs that lie nearest to each one, however they are turned or mirrored, by their numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swcl_cli.audit.turns import EXCHANGED, TURNS, turned_numbers

NEAREST = 8  # of each photograph are looked at
LEAST_ALIKE = 0.6  # cosine: 999 of 1,000 degraded copies are nearer (run)
BLOCK = 512  # photographs that are compared with as many others at once: their products fit into a cache


class Candidates(NamedTuple):
    """Hold pairs (P,): one < other, how the other has to be turned to lie like the one, and their cosine then."""

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    turn: NDArray[np.int64]
    alike: NDArray[np.float32]


def nearest(numbers: NDArray[np.float32], advance: Callable[[int], object] = lambda _: None) -> Candidates:
    """Pair each photograph with its NEAREST others of at least LEAST_ALIKE. numbers: (N, K * K), rows of unit length.

    Time grows with N * N, memory with N. advance: is called with the number of photographs that are done.
    """
    count = len(numbers)
    straight, exchanged = _by_parity(numbers), _by_parity(turned_numbers(numbers, EXCHANGED))
    best = torch.full((count, NEAREST), -1.0)
    places = torch.full((count, NEAREST), -1, dtype=torch.int64)
    for start in range(0, count, BLOCK):
        rows = slice(start, min(start + BLOCK, count))
        own = straight[:, rows]
        for begin in range(start, count, BLOCK):
            columns = slice(begin, min(begin + BLOCK, count))
            alike = torch.maximum(_most(own, straight[:, columns]), _most(own, exchanged[:, columns]))
            if begin == start:
                alike.fill_diagonal_(-1.0)
            else:
                _keep(best[columns], places[columns], alike.T.contiguous(), start)
            _keep(best[rows], places[rows], alike, begin)
        advance(rows.stop - rows.start)
    return _pairs(numbers, best.numpy(), places.numpy())


def _by_parity(numbers: NDArray[np.float32]) -> Tensor:
    """Sort coefficients by whether their orders down and across are odd: (4, N, K * K / 4), even ones first."""
    order = round(numbers.shape[1] ** 0.5)
    square = numbers.reshape(-1, order, order)
    parts = [square[:, down::2, across::2].reshape(len(numbers), -1) for down in (0, 1) for across in (0, 1)]
    return torch.from_numpy(np.ascontiguousarray(np.stack(parts), np.float32))


def _most(one: Tensor, other: Tensor) -> Tensor:
    """Return the largest cosine (N, M) over mirroring left to right and top to bottom.

    These change the signs of the products of odd orders alone: of ee + x eo + y oe + x y oo with x, y = 1 or -1, the
    largest is that of ee + oo + |eo + oe| and ee - oo + |eo - oe|.
    """
    even, across, down, both = (torch.mm(mine, theirs.T) for mine, theirs in zip(one, other, strict=True))
    same = (across + down).abs_().add_(even).add_(both)
    opposite = across.sub_(down).abs_().add_(even).sub_(both)
    return torch.maximum(same, opposite)


def _keep(best: Tensor, places: Tensor, alike: Tensor, start: int) -> None:
    """Put those of the next columns that are nearer among the nearest so far, in place."""
    values, columns = alike.topk(min(NEAREST, alike.shape[1]), dim=1)
    values, columns = torch.cat([best, values], dim=1), torch.cat([places, columns + start], dim=1)
    top, order = values.topk(NEAREST, dim=1)
    best.copy_(top)
    places.copy_(columns.gather(1, order))


def _pairs(numbers: NDArray[np.float32], best: NDArray[np.float32], places: NDArray[np.int64]) -> Candidates:
    """Make pairs of the nearest of each, once each, and tell how they lie."""
    rows, ranks = np.nonzero((places >= 0) & (best >= LEAST_ALIKE))
    found = np.sort(np.column_stack([rows, places[rows, ranks]]), axis=1)
    pairs = np.unique(found, axis=0).astype(np.int64).reshape(-1, 2)
    one, other = pairs[:, 0], pairs[:, 1]
    alike = np.empty((len(TURNS), len(pairs)), np.float32)
    for turn in TURNS:
        for start in range(0, len(pairs), BLOCK):
            part = slice(start, start + BLOCK)
            alike[turn, part] = np.einsum("nk,nk->n", numbers[one[part]], turned_numbers(numbers[other[part]], turn))
    turns = alike.argmax(axis=0) if len(pairs) else np.empty(0, np.int64)
    return Candidates(one, other, turns.astype(np.int64), alike.max(axis=0, initial=-1.0))
