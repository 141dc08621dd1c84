"""Paint lesions into a drawn eye. Lengths are field radii in the left-eye frame of anatomy.py."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from swcl_cli.phantom.eye.camera import Bytes, Floats, View
from swcl_cli.swap.lesion_masks import KINDS

MICROANEURYSM, HAEMORRHAGE, EXUDATE, COTTON_WOOL, DRUSEN, NEW_VESSELS, PRERETINAL = range(1, len(KINDS) + 1)
DEEP = (EXUDATE, DRUSEN)

# Pixels: a smaller spot would fall between the pixel centres.
SMALLEST = 1.0
# A spot this many times as long as broad is a flame: its ends fray.
STREAKY = 1.5


@dataclass(frozen=True)
class Look:
    """Say what a kind of lesion looks like.

    colour: RGB of an opaque lesion, or, if it `absorbs`, the share of light that passes; edge: width of the soft edge
    against the radius; ragged: depth of the outline's waves.
    """

    colour: tuple[float, float, float]
    absorbs: bool
    strength: float
    edge: float
    ragged: float


LOOKS = {
    MICROANEURYSM: Look((0.62, 0.28, 0.36), True, 0.9, 0.6, 0.05),
    HAEMORRHAGE: Look((0.6, 0.26, 0.34), True, 0.88, 0.6, 0.2),
    EXUDATE: Look((252, 226, 128), False, 0.92, 0.25, 0.3),
    COTTON_WOOL: Look((244, 226, 190), False, 0.8, 0.8, 0.22),
    DRUSEN: Look((244, 204, 120), False, 0.6, 0.65, 0.12),
    NEW_VESSELS: Look((0.7, 0.36, 0.42), True, 0.9, 0.3, 0.0),
    PRERETINAL: Look((0.55, 0.17, 0.24), True, 0.97, 0.12, 0.08),
}


@dataclass(frozen=True)
class Lesion:
    """Place a lesion. radius: half the length along `angle` (radians); stretch: length / breadth."""

    kind: int
    x: float
    y: float
    radius: float
    angle: float = 0.0
    stretch: float = 1.0


def paint_lesion(image: Floats, mask: Bytes, lesion: Lesion, view: View, rng: np.random.Generator) -> None:
    """Paint a lesion into the (H, W, 3) image and its kind into the (H, W) mask, in place."""
    centre = view.place(np.array([[lesion.x, lesion.y]]))[0]
    tip = view.place(np.array([[lesion.x + np.cos(lesion.angle), lesion.y + np.sin(lesion.angle)]]))[0] - centre
    radius = max(lesion.radius * view.scale, SMALLEST)
    reach = int(np.ceil(radius * 1.6 + 2))
    left, top = max(0, int(centre[0]) - reach), max(0, int(centre[1]) - reach)
    right, bottom = min(view.width, int(centre[0]) + reach + 1), min(view.height, int(centre[1]) + reach + 1)
    if left >= right or top >= bottom:
        return
    dx = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(centre[0])
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(centre[1])
    direction = tip / np.hypot(*tip)
    along = (dx * direction[0] + dy * direction[1]) / radius
    across = (dy * direction[0] - dx * direction[1]) / radius * lesion.stretch
    look = LOOKS[lesion.kind]
    if lesion.kind == NEW_VESSELS:
        shape = _tuft((bottom - top, right - left), (centre[0] - left, centre[1] - top), radius, rng)
    else:
        shape = _blob(along, across, dy / radius, radius, lesion, rng)
    alpha = (look.strength * shape)[..., None]
    window = image[top:bottom, left:right]
    colour = np.array(look.colour, dtype=np.float32)
    window *= 1 - alpha * (1 - colour) if look.absorbs else 1 - alpha
    if not look.absorbs:
        window += alpha * colour
    stamp = mask[top:bottom, left:right]
    stamp[shape > 0.4] = lesion.kind


def _blob(
    along: Floats, across: Floats, down: Floats, radius: float, lesion: Lesion, rng: np.random.Generator
) -> Floats:
    """Draw the opacity of a round or streaky spot; along, across and down are in units of its radius (pixels)."""
    look = LOOKS[lesion.kind]
    distance = np.hypot(along, across)
    angle = np.arctan2(across, along)
    outline = np.ones_like(distance)
    for waves in range(2, 7):
        outline += look.ragged / waves * 1.4 * rng.normal() * np.sin(waves * angle + rng.uniform(0, 2 * np.pi))
    if lesion.kind == PRERETINAL:
        distance = np.maximum(distance, 1 - down * 4)
    if lesion.stretch > STREAKY:
        outline += 0.16 * np.sin(across * rng.uniform(4, 7) + rng.uniform(0, 6)) * np.abs(along)
    soft = max(look.edge, 1 / radius)
    return np.asarray(np.clip((outline - distance) / soft + 0.5, 0, 1), dtype=np.float32)


def _tuft(shape: tuple[int, int], middle: tuple[float, float], radius: float, rng: np.random.Generator) -> Floats:
    """Draw the opacity of a fan of fine wandering vessels around the middle (x, y)."""
    drawn = np.zeros(shape, np.uint8)
    for spoke in range(9):
        turn = 2 * np.pi * spoke / 9 + rng.normal(0, 0.3) + np.cumsum(rng.normal(0, 0.5, 14))
        path = np.cumsum(np.stack([np.cos(turn), np.sin(turn)], axis=1) * 0.11 * radius, axis=0)
        fixed = np.rint((np.vstack([[0.0, 0.0], path]) + np.array(middle)) * 16).astype(np.int32)
        cv2.polylines(drawn, [fixed], False, 255, max(1, round(0.04 * radius)), cv2.LINE_AA, shift=4)
    return np.asarray(drawn / 255, dtype=np.float32)


def paint_dust(image: Floats, view: View, rng: np.random.Generator) -> None:
    """Paint pale discs of dust on the lens, near the rim, in place. Dust is no lesion: masks don't hold it."""
    rows, columns = np.ogrid[: view.height, : view.width]
    for _ in range(int(rng.integers(3, 8))):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 0.95) * view.radius
        x, y = view.centre[0] + away * np.cos(angle), view.centre[1] + away * np.sin(angle)
        radius = rng.uniform(0.012, 0.035) * view.radius
        distance = np.hypot(columns - x, rows - y).astype(np.float32) / np.float32(radius)
        image += (rng.uniform(20, 60) * np.clip((1 - distance) / 0.4, 0, 1))[..., None]
