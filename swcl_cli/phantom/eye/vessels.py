"""Grow the retinal arteries and veins from the disc along the arcades, and paint them."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.phantom.eye.anatomy import Anatomy
from swcl_cli.phantom.eye.camera import Bytes, Floats, View

STEP = 0.016
REACH = 1.3
CELL = 0.02
FINEST = 0.0032
AVASCULAR = 0.09
SUPERSAMPLING = 3
# Pixels: a thinner vessel is painted this wide, and paler.
THINNEST = 2 / SUPERSAMPLING
# Pixels: wider vessels show a light reflex along their middle.
REFLECTING = 2.2
# Share of a pixel, of 255, that a vessel must cover to be in the mask.
COVERED = 110


@dataclass(frozen=True)
class Branch:
    """Hold the course of a grown vessel: points (N, 2) and widths (N,) in field radii."""

    points: NDArray[np.float64]
    widths: NDArray[np.float64]
    vein: bool


@dataclass(frozen=True)
class Bud:
    """Describe a vessel that is about to grow.

    turning: knots (arc length, heading) of a trunk; without them the vessel turns to the fovea if `inward`, else away.
    """

    start: tuple[float, float]
    heading: float
    width: float
    vein: bool
    level: int
    length: float
    turning: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    inward: bool = False


def _trunks(anatomy: Anatomy, both: np.random.Generator, own: np.random.Generator) -> list[Bud]:
    buds = []
    for pole in (-1, 1):
        arch = both.normal(0, 0.08)
        for vein in (True, False):
            width = (0.026 if vein else 0.019) * anatomy.vessel_width
            hilum = (
                anatomy.disc[0] - 0.02 + both.normal(0, 0.014),
                anatomy.disc[1] + pole * anatomy.disc_diameter * both.uniform(0.0, 0.2),
            )
            lean = both.normal(0.06 if vein else -0.08, 0.07) + own.normal(0, 0.04)
            # The fovea lies below the disc, so the lower arcade reaches further.
            bend = 1.02 + 0.1 * pole + both.normal(0, 0.06) + own.normal(0, 0.03)
            lengths = (0.0, 0.18 * bend, 0.5 * bend, 0.9 * bend, 1.7 * bend)
            slopes = (1.42 + lean, 1.2 + lean, 0.62 + lean + arch, 0.08 + arch, -0.22 + arch)
            temporal = tuple(pole * slope for slope in slopes)
            buds.append(Bud(hilum, temporal[0], width, vein, 0, 2.4, (lengths, temporal)))
            out = both.uniform(2.2, 2.6) + own.normal(0, 0.08) + (0.12 if vein else -0.1)
            nasal = (pole * (1.9 + lean), pole * out, pole * (out - 0.15))
            buds.append(Bud(hilum, nasal[0], width * 0.62, vein, 0, 1.2, ((0.0, 0.3, 1.0), nasal)))
        for vein in (True, False):
            twig = pole * own.uniform(0.15, 0.8)
            ends = (twig, pole * own.uniform(0.0, 0.3))
            near = (anatomy.disc[0] + 0.02, anatomy.disc[1] + pole * 0.02)
            buds.append(Bud(near, twig, own.uniform(0.007, 0.01), vein, 1, own.uniform(0.4, 0.6), ((0.0, 0.4), ends)))
    return buds


def _wander(rng: np.random.Generator, tortuosity: float, steps: int) -> NDArray[np.float64]:
    along = np.arange(steps) * STEP
    waves = [
        rng.uniform(0.4, 1.0) * np.sin(2 * np.pi * along / rng.uniform(low, high) + rng.uniform(0, 2 * np.pi))
        for low, high in ((0.08, 0.16), (0.18, 0.4))
    ]
    return np.asarray(tortuosity * np.sum(waves, axis=0))


def grow(anatomy: Anatomy, both: np.random.Generator, own: np.random.Generator) -> list[Branch]:
    """Grow both trees of an eye, widest vessels first. Vessels of a kind never cross; none enters the fovea.

    both: chance that the two eyes of a patient share; own: this eye's chance.
    """
    cells = round(2 * 1.5 / CELL)
    taken = {kind: np.zeros((cells, cells), np.int32).tolist() for kind in (True, False)}
    queue = deque(_trunks(anatomy, both, own))
    branches: list[Branch] = []
    while queue:
        bud = queue.popleft()
        branch, side_buds = _grow_one(bud, anatomy, taken[bud.vein], len(branches) + 1, own)
        if len(branch.points) > 3:
            branches.append(branch)
            queue.extend(side_buds)
    return branches


def _grow_one(
    bud: Bud, anatomy: Anatomy, taken: list[list[int]], number: int, rng: np.random.Generator
) -> tuple[Branch, list[Bud]]:
    steps = max(2, round(bud.length / STEP))
    wander = _wander(rng, anatomy.tortuosity * (1.0 if bud.level == 0 else 1.5), steps)
    course = np.interp(np.arange(steps) * STEP, *bud.turning) if bud.turning else None
    heading, width = bud.heading, bud.width
    x, y = bud.start
    fovea_x, fovea_y = anatomy.fovea
    points, widths, buds = [(x, y)], [width], []
    side = 1 if rng.random() < 0.5 else -1
    until_branch = rng.uniform(0.16, 0.3) if bud.level == 0 else rng.uniform(0.08, 0.18)
    for step in range(steps):
        to_x, to_y = fovea_x - x, fovea_y - y
        away = math.hypot(to_x, to_y)
        if course is None:
            goal = math.atan2(to_y, to_x) if bud.inward else math.atan2(-to_y, -to_x + 0.3)
            heading += (2.6 if bud.inward else 1.4) * STEP * math.sin(goal - heading)
            direction = heading + wander[step]
        else:
            direction = course[step] + wander[step]
        x += STEP * math.cos(direction)
        y += STEP * math.sin(direction)
        if x * x + y * y > REACH * REACH or away < AVASCULAR:
            break
        row, column = int((y + 1.5) / CELL), int((x + 1.5) / CELL)
        holder = taken[row][column]
        if step > 4 and holder not in (0, number):
            break
        if step > 2 or bud.level == 0:
            taken[row][column] = number
        width *= 1 - (0.2 if bud.level == 0 else 0.65) * STEP
        points.append((x, y))
        widths.append(width)
        until_branch -= STEP
        if until_branch < 0 and math.hypot(x - anatomy.disc[0], y - anatomy.disc[1]) > 0.6 * anatomy.disc_diameter:
            ratio = rng.uniform(0.42, 0.75)
            if width * ratio > FINEST:
                leaves = direction + side * rng.uniform(0.45, 1.05)
                inward = math.cos(leaves - math.atan2(to_y, to_x)) > 0.1
                length = width * ratio * rng.uniform(45, 110)
                buds.append(Bud((x, y), leaves, width * ratio, bud.vein, bud.level + 1, length, None, inward))
                width *= 1 - 0.12 * ratio
            side = side if rng.random() < 0.25 else -side
            until_branch = rng.exponential(0.1) + 0.07
        if width < FINEST:
            break
    return Branch(np.array(points), np.array(widths), bud.vein), buds


@dataclass(frozen=True)
class PaintedVessels:
    """Hold painted vessels: coverage 0 to 1 of arteries and veins, their light reflex, and the 0/1 mask, all (H, W)."""

    arteries: Floats
    veins: Floats
    reflex: Floats
    mask: Bytes


def paint(branches: list[Branch], view: View) -> PaintedVessels:
    """Paint vessels at three times the size, thin vessels first and fainter, then average down."""
    size = (view.height * SUPERSAMPLING, view.width * SUPERSAMPLING)
    layers = {kind: np.zeros(size, np.uint8) for kind in ("artery", "vein", "reflex")}
    for branch in sorted(branches, key=lambda branch: branch.widths[0]):
        pixels = (view.place(branch.points) + 0.5) * SUPERSAMPLING - 0.5
        wide = branch.widths * view.scale
        shade = 255 * np.clip(0.26 + branch.widths / 0.022 * 0.74, 0, 1) * np.minimum(wide / THINNEST, 1)
        _stroke(layers["vein" if branch.vein else "artery"], pixels, wide, shade)
        shiny = slice(4, int((wide > REFLECTING).sum()))
        shine = np.full(len(wide), 130.0 if branch.vein else 230.0)
        _stroke(layers["reflex"], pixels[shiny], 0.3 * wide[shiny], shine[shiny])
    small = (view.width, view.height)
    mean = {kind: cv2.resize(layer, small, interpolation=cv2.INTER_AREA) for kind, layer in layers.items()}
    solid = np.where(np.maximum(layers["artery"], layers["vein"]) > 0, np.uint8(255), np.uint8(0))
    covered = cv2.resize(solid, small, interpolation=cv2.INTER_AREA) >= COVERED
    arteries, veins, reflex = (np.asarray(mean[kind] / 255, dtype=np.float32) for kind in ("artery", "vein", "reflex"))
    return PaintedVessels(arteries, veins, reflex, covered.astype(np.uint8))


def _stroke(layer: Bytes, pixels: NDArray[np.float64], wide: NDArray[np.float64], shade: NDArray[np.float64]) -> None:
    """Draw a line of changing width (pixels) and grey into the layer, in runs of equal width and grey."""
    if len(pixels) < 2:
        return
    thick = np.rint(np.maximum(wide, THINNEST) * SUPERSAMPLING).astype(int)
    grey = np.rint(shade / 16).astype(int) * 16 + 15
    keys = thick * 512 + grey
    fixed = np.rint(pixels * 16).astype(np.int32)
    cuts = np.flatnonzero(np.diff(keys)) + 1
    for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), len(keys)], strict=True):
        run = fixed[max(0, start - 1) : stop]
        cv2.polylines(layer, [run], False, min(255, int(grey[start])), int(thick[start]), cv2.LINE_8, shift=4)
