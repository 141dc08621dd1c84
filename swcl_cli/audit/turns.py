"""Name the eight ways to lay a photograph: turned by quarters, mirrored or not; and apply them to pictures and numbers.

Turn t of a picture: exchange its rows and columns if t has the bit EXCHANGED, then mirror left and right if it has
MIRRORED, then exchange top and bottom if it has FLIPPED.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

EXCHANGED, MIRRORED, FLIPPED = 4, 2, 1
TURNS = range(8)


class Laid(NamedTuple):
    """Say how one photograph lies against another: mirrored left to right, then turned clockwise by degrees."""

    mirrored: bool
    degrees: int


LAID = {
    0: Laid(False, 0),
    MIRRORED: Laid(True, 0),
    FLIPPED: Laid(True, 180),
    MIRRORED | FLIPPED: Laid(False, 180),
    EXCHANGED: Laid(True, 270),
    EXCHANGED | MIRRORED: Laid(False, 90),
    EXCHANGED | FLIPPED: Laid(False, 270),
    EXCHANGED | MIRRORED | FLIPPED: Laid(True, 90),
}


def turned(picture: NDArray[Any], turn: int) -> NDArray[Any]:
    """Lay a picture (..., S, S) otherwise."""
    picture = np.swapaxes(picture, -1, -2) if turn & EXCHANGED else picture
    picture = picture[..., ::-1] if turn & MIRRORED else picture
    return np.ascontiguousarray(picture[..., ::-1, :] if turn & FLIPPED else picture)


def turned_numbers(numbers: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """Return the cosine coefficients (N, K * K) of pictures that lie otherwise: those of odd orders change sign."""
    order = round(numbers.shape[-1] ** 0.5)
    signs = ((-1.0) ** np.arange(order)).astype(np.float32)
    square: NDArray[Any] = numbers.reshape(-1, order, order)
    square = np.swapaxes(square, 1, 2) if turn & EXCHANGED else square
    square = square * signs[None, None, :] if turn & MIRRORED else square
    square = square * signs[None, :, None] if turn & FLIPPED else square
    return np.ascontiguousarray(square.reshape(numbers.shape), np.float32)
