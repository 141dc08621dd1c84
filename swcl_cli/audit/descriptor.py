"""Describe a photograph by few numbers, so that copies are near each other, however they are turned or mirrored."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.audit.field import Field, find_field

RECIPE = 1  # raise it when the same photograph is described by other numbers
TILE = 160  # pixels of the side of a photograph that is brought to its field of view
GRID, ORDER = 32, 12  # the tile at which frequencies are counted, and how many along each side are kept
LENGTH = ORDER * ORDER
SKETCH = 64  # pixels of the side of the small picture of vessels that is kept
LEVELS = 32.0  # of a sketch, per unit of local contrast
EDGE = 0.94  # of the radius: outside lies the border, and what cameras write on it
FLAT = 2.0  # levels: what differs less is noise
COARSE = 4  # broad blurs are made of every fourth pixel

Tile = NDArray[np.float32]  # (S, S)
Flags = NDArray[np.bool_]  # (S, S)


class Band(NamedTuple):
    """Say what is kept, as shares of the tile's side: finer is noise, broader is illumination."""

    finest: float
    broadest: float


ARCS = Band(0.016, 0.08)  # the optic disc and the arcs of vessels
VESSELS = Band(0.010, 0.03)  # vessels, lesions, and dust


class Description(NamedTuple):
    """Hold what is kept of a photograph: numbers (LENGTH,) of unit length, and a sketch of its vessels, int8."""

    numbers: NDArray[np.float32]
    sketch: NDArray[np.int8]  # (SKETCH, SKETCH)


def describe(image: NDArray[np.uint8]) -> Description:
    """Describe an RGB photograph (H, W, 3): the lowest ORDER x ORDER cosine coefficients of its disc and arcs.

    A mirrored or turned photograph has the same ones, in another order and with other signs (turns.py).
    """
    levels, inside = tile_of(image, find_field(image))
    small = cv2.resize(band(levels, inside, ARCS), (GRID, GRID), interpolation=cv2.INTER_AREA)
    numbers = np.asarray(cv2.dct(small)[:ORDER, :ORDER], np.float32).copy()
    numbers[0, 0] = 0.0
    vessels = cv2.resize(band(levels, inside, VESSELS), (SKETCH, SKETCH), interpolation=cv2.INTER_AREA)
    sketch = np.clip(np.rint(vessels * LEVELS), -127, 127).astype(np.int8)
    return Description(numbers.ravel() / max(float(np.linalg.norm(numbers)), 1e-6), sketch)


def tile_of(image: NDArray[np.uint8], field: Field) -> tuple[Tile, Flags]:
    """Bring the green channel of a photograph (H, W, 3) to its field of view: levels, and which pixels lie in both."""
    levels, covered = brought(np.asarray(image[..., 1], np.float32), field, TILE)
    return levels, covered & DISC


def brought(pixels: NDArray[np.float32], field: Field, side: int) -> tuple[NDArray[np.float32], Flags]:
    """Bring pixels (H, W) or (H, W, C) to a square around the field of view; tell which of it the photograph covers."""
    scale = side / (2 * field.radius)
    across = down = 1.0
    if scale < 0.5:  # the area mean first, so that fine lines are not missed
        size = (max(round(pixels.shape[1] * 2 * scale), 1), max(round(pixels.shape[0] * 2 * scale), 1))
        across, down = size[0] / pixels.shape[1], size[1] / pixels.shape[0]
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    left, top = field.x - field.radius, field.y - field.radius
    to_source = np.array(
        [[across / scale, 0, (left + 0.5 / scale) * across - 0.5], [0, down / scale, (top + 0.5 / scale) * down - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(pixels, to_source, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpAffine(np.ones(pixels.shape[:2], np.float32), to_source, (side, side), flags=flags)
    return np.asarray(warped, np.float32), np.asarray(covered > 0.99)


def band(levels: Tile, inside: Flags, kept: Band) -> Tile:
    """Keep what is neither illumination nor noise, at unit local contrast; 0 outside."""
    weight = inside.astype(np.float32)
    detail = (_mean(levels, weight, kept.finest) - _mean(levels, weight, kept.broadest)) * weight
    contrast = np.sqrt(_mean(detail * detail, weight, 2 * kept.broadest))
    return np.asarray(detail / (contrast + FLAT), np.float32)


def _mean(values: Tile, weight: Tile, sigma: float) -> Tile:
    """Average around each pixel, by a Gaussian of sigma, a share of the side, over pixels that have a weight."""
    mean = _blur(values * weight, sigma * TILE) / (_blur(weight, sigma * TILE) + 1e-3)
    return np.asarray(mean, np.float32)


def _blur(image: Tile, sigma: float) -> Tile:
    border = cv2.BORDER_REFLECT_101
    if sigma < 1.5 * COARSE:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=border), np.float32)
    side = TILE // COARSE
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma / COARSE, borderType=border)
    return np.asarray(cv2.resize(blurred, (TILE, TILE), interpolation=cv2.INTER_LINEAR), np.float32)


def disc(side: int) -> Flags:
    """Tell which pixels of a square of this side lie in the field of view, clear of its border."""
    place = (np.arange(side) + 0.5) / side * 2 - 1
    return np.asarray(np.hypot(place[:, None], place[None, :]) <= EDGE)


DISC = disc(TILE)  # the pixels of a tile in the field of view, clear of its border
