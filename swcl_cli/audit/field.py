"""Find the field of view of a photograph: the disc that the camera lights, of which the frame may cut off parts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FINDING_SIDE = 192  # pixels of the shorter side that the disc is looked for in
CORNER, MARGIN_SHARE = 0.03, 0.25  # side of a corner, of the frame; a margin is darker than this share of the centre
TRIMMED, ROUNDS, LEAST_POINTS = 0.7, 8, 24
LEAST_ARC = 0.6  # radians: shorter arcs say nothing of the radius


@dataclass(frozen=True)
class Field:
    """Hold the disc in pixels of the photograph, and whether its border was seen; else it is the frame's own."""

    x: float
    y: float
    radius: float
    seen: bool


def find_field(image: NDArray[np.uint8]) -> Field:
    """Fit a circle to the border between lit and dark pixels of an RGB photograph (H, W, 3).

    Parts of the border that lie on the frame are none of the disc's. Where too little of it is seen, the disc is the
    largest one that lies in the frame.
    """
    height, width = image.shape[:2]
    scale = min(FINDING_SIDE / min(height, width), 1.0)
    small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    points = _border(_lit(small.max(axis=2)))
    circle = _fitted(points, max(small.shape[:2]))
    across, down = width / small.shape[1], height / small.shape[0]
    if circle is None:
        return Field(width / 2, height / 2, min(height, width) / 2, False)
    x, y, radius = circle
    return Field((x + 0.5) * across, (y + 0.5) * down, radius * (across + down) / 2, True)


def _lit(brightest: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell lit pixels (H, W) from the margin, whose level is that of the corners: a photograph may be brightened."""
    height, width = brightest.shape
    side = max(round(CORNER * min(height, width)), 2)
    rows, columns = (slice(0, side), slice(-side, None)), (slice(0, side), slice(-side, None))
    corners = [float(np.median(brightest[row, column])) for row in rows for column in columns]
    centre = brightest[height // 4 : -height // 4, width // 4 : -width // 4]
    bright = float(np.median(centre))
    dark = sorted(corners)[1]
    if dark > MARGIN_SHARE * bright:
        return np.ones((height, width), np.bool_)
    smooth = cv2.GaussianBlur(brightest, (0, 0), 1.0)
    level = dark + max(0.2 * (bright - dark), 6.0)
    return np.asarray(smooth > level)


def _border(lit: NDArray[np.bool_]) -> NDArray[np.float64]:
    """List the border (N, 2) as x, y: the ends of each row and column of lit pixels that do not lie on the frame."""
    height, width = lit.shape
    points: list[tuple[float, float]] = []
    for flipped, length in ((False, width), (True, height)):
        lines = lit.T if flipped else lit
        some = np.flatnonzero(lines.sum(axis=1) >= 0.05 * length)
        first, last = lines[some].argmax(axis=1), length - 1 - lines[some][:, ::-1].argmax(axis=1)
        for places, off in ((first, first > 1), (last, last < length - 2)):
            pairs = zip(places[off], some[off], strict=True)
            points += [(float(line), float(place)) if flipped else (float(place), float(line)) for place, line in pairs]
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _fitted(points: NDArray[np.float64], longest: int) -> tuple[float, float, float] | None:
    """Fit a circle by least squares, each time to the TRIMMED share of points that are nearest to the last one."""
    kept = points
    circle = None
    for _ in range(ROUNDS):
        if len(kept) < LEAST_POINTS:
            return None
        rows = np.column_stack([kept, np.ones(len(kept))])
        a, b, c = np.linalg.lstsq(rows, (kept**2).sum(axis=1), rcond=None)[0]
        circle = (a / 2, b / 2, float(np.sqrt(max(c + a * a / 4 + b * b / 4, 0.0))))
        distance = np.abs(np.hypot(points[:, 0] - circle[0], points[:, 1] - circle[1]) - circle[2])
        kept = points[distance <= max(float(np.quantile(distance, TRIMMED)), 0.5)]
    if circle is None or not 0.25 * longest < circle[2] < 1.2 * longest:
        return None
    angles = np.arctan2(kept[:, 1] - circle[1], kept[:, 0] - circle[0])
    return circle if len(np.unique(np.floor(angles / 0.1))) * 0.1 >= LEAST_ARC else None
