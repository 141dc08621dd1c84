"""Bring one photograph onto another by an affine map, and measure how far they agree: by OpenCV."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.audit.descriptor import ARCS, DISC, SKETCH, TILE, VESSELS, Flags, Tile, band, tile_of
from swcl_cli.audit.field import find_field
from swcl_cli.audit.turns import turned

SHIFT = 6  # pixels of a sketch: how far two fields of view may be apart
POOR, HOPEFUL = 0.85, 0.8  # vessels below, and best parts above which keypoints are asked for a better beginning
KEYPOINTS, RATIO, REPROJECTION, LEAST_INLIERS = 200, 0.8, 3.0, 6
STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
THINNED = 3  # of smoothed levels, one is looked at
LEAST_SHARED = 0.2  # of the tile
PART, REACH = 32, 3  # pixels: side of the parts that are looked for around their place, and how far
INVERSE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

Affine = NDArray[np.float32]  # (2, 3), from pixels of the one tile to those of the other


class View(NamedTuple):
    """Hold a photograph in its field of view: green levels, two bands of them, and which pixels count."""

    levels: Tile
    arcs: Tile
    vessels: Tile
    inside: Flags

    def turned(self, turn: int) -> View:
        """Lay it otherwise."""
        return View(*(turned(part, turn) for part in self))

    @property
    def seen(self) -> float:
        """Return the share of the field of view that the frame shows."""
        return float(self.inside.sum() / DISC.sum())


class Agreement(NamedTuple):
    """Hold how two photographs agree once the one is brought onto the other.

    vessels: correlation of the band of vessels; levels: share of the variance of brightness that a cubic of the other's
    explains; local: share of parts that are found near their place; residual: the median distance there, in pixels of
    the tile; sharp: correlation of the best fifth of parts. apart: distance of the two fields' centres, in radii;
    degrees: turn that remains; stretch: ratio of the two scales; gain: brightness of the other over the one's.
    """

    vessels: float
    levels: float
    local: float
    residual: float
    sharp: float
    apart: float
    degrees: float
    stretch: float
    gain: float


NONE = Agreement(0.0, 0.0, 0.0, float(PART), 0.0, 1.0, 0.0, 1.0, 1.0)


def view_of(image: NDArray[np.uint8]) -> View:
    """Bring an RGB photograph (H, W, 3) to its field of view."""
    levels, inside = tile_of(image, find_field(image))
    return View(levels, band(levels, inside, ARCS), band(levels, inside, VESSELS), inside)


def compare_sketches(one: NDArray[np.int8], other: NDArray[np.int8]) -> tuple[float, float, float]:
    """Return the largest correlation of two sketches over small shifts, and that shift across and down, in sides."""
    middle = one[SHIFT:-SHIFT, SHIFT:-SHIFT].astype(np.float32)
    if not middle.any():
        return 0.0, 0.0, 0.0
    found = cv2.matchTemplate(other.astype(np.float32), middle, cv2.TM_CCOEFF_NORMED)
    _, most, _, (x, y) = cv2.minMaxLoc(found)
    return float(most), (x - SHIFT) / SKETCH, (y - SHIFT) / SKETCH


def agree(one: View, other: View, across: float, down: float) -> Agreement:
    """Bring the other photograph onto the one, and measure. across, down: where to begin, as shares of the side.

    Where parts agree, but not the whole, keypoints that both have (SIFT, RANSAC) give another beginning.
    """
    shifted = np.array([[1, 0, across * TILE], [0, 1, down * TILE]], np.float32)
    agreement = _measured(one, other, _refined(one, other, shifted, (("arcs", 3), ("vessels", 1))))
    if agreement.vessels < POOR and agreement.sharp > HOPEFUL and (begun := _by_keypoints(one, other)) is not None:
        second = _measured(one, other, _refined(one, other, begun, (("vessels", 3), ("vessels", 1))))
        return max(agreement, second, key=lambda each: each.vessels)
    return agreement


def _refined(one: View, other: View, affine: Affine, rounds: tuple[tuple[str, int], ...]) -> Affine:
    """Raise the correlation of bands step by step (ECC, Evangelidis and Psarakis 2008)."""
    mask = other.inside.astype(np.uint8)
    for name, blur in rounds:
        try:
            _, refined = cv2.findTransformECC(
                getattr(one, name), getattr(other, name), affine.copy(), cv2.MOTION_AFFINE, STEPS, mask, blur
            )
        except cv2.error:  # it does not converge
            continue
        affine = np.asarray(refined, np.float32)
    return affine


def _by_keypoints(one: View, other: View) -> Affine | None:
    """Find a similarity by which many keypoints of the one lie on those of the other; None where there are few."""
    finder = cv2.SIFT.create(nfeatures=KEYPOINTS, contrastThreshold=0.01)
    found = [finder.detectAndCompute(_grey(view.vessels), view.inside.astype(np.uint8)) for view in (one, other)]
    (points, described), (others, described_others) = found
    if described is None or described_others is None or len(others) < 2:
        return None
    matches = cv2.BFMatcher().knnMatch(described, described_others, k=2)
    good = [first for first, second in matches if first.distance < RATIO * second.distance]
    if len(good) < LEAST_INLIERS:
        return None
    source = np.array([points[match.queryIdx].pt for match in good], np.float32)
    target = np.array([others[match.trainIdx].pt for match in good], np.float32)
    affine, inliers = cv2.estimateAffinePartial2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=REPROJECTION)
    if affine is None or int(inliers.sum()) < LEAST_INLIERS:
        return None
    return np.asarray(affine, np.float32)


def _grey(values: Tile) -> NDArray[np.uint8]:
    return np.clip(values * 48 + 128, 0, 255).astype(np.uint8)


def _measured(one: View, other: View, affine: Affine) -> Agreement:
    """Measure how far the photographs agree under a map."""
    linear = affine[:, :2].astype(np.float64)
    scales = np.linalg.svd(linear, compute_uv=False)
    brought = cv2.warpAffine(other.inside.astype(np.float32), affine, (TILE, TILE), flags=INVERSE)
    both = one.inside & (np.asarray(brought) > 0.99)
    if both.mean() < LEAST_SHARED or not 0.5 < scales[1] <= scales[0] < 2.0:
        return NONE
    vessels, levels = (_brought(part, affine) for part in (other.vessels, other.levels))
    smooth = (np.asarray(cv2.GaussianBlur(part, (0, 0), 1.0), np.float32) for part in (one.levels, levels))
    own, theirs = (part[both][::THINNED] for part in smooth)
    middle = np.full(2, (TILE - 1) / 2)
    return Agreement(
        _correlation(one.vessels[both], vessels[both]),
        min(_explained(own, theirs), _explained(theirs, own)),
        *_parts(one, vessels, both),
        float(np.hypot(*(linear @ middle + affine[:, 2] - middle))) / (TILE / 2),
        float(np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))),
        float(scales[0] / scales[1]),
        float((np.median(theirs) + 1) / (np.median(own) + 1)),
    )


def _brought(part: Tile, affine: Affine) -> Tile:
    warped = cv2.warpAffine(part, affine, (TILE, TILE), flags=INVERSE, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)


def _parts(one: View, vessels: Tile, both: Flags) -> tuple[float, float, float]:
    """Look for parts around their place: the share that is found, their median distance, and the best correlation."""
    most, distances = [], []
    for top in range(0, TILE - PART + 1, PART // 2):
        for left in range(0, TILE - PART + 1, PART // 2):
            rows, columns = slice(top, top + PART), slice(left, left + PART)
            inner = one.vessels[top + REACH : top + PART - REACH, left + REACH : left + PART - REACH]
            if both[rows, columns].all() and inner.std() > 0:
                found = np.asarray(cv2.matchTemplate(vessels[rows, columns], inner, cv2.TM_CCOEFF_NORMED), np.float32)
                most.append(float(found.max()))
                distances.append(_distance(found))
    if not most:
        return 0.0, float(PART), 0.0
    good = np.array(most) > 0.5
    residual = float(np.median(np.array(distances)[good])) if good.any() else float(PART)
    return float(good.mean()), residual, float(np.quantile(most, 0.8))


def _distance(found: NDArray[np.float32]) -> float:
    """Return how far the peak lies from the middle, by a parabola through it and its neighbours along each side."""
    y, x = np.unravel_index(int(found.argmax()), found.shape)
    return float(np.hypot(_peak(found[y], int(x)) - REACH, _peak(found[:, x], int(y)) - REACH))


def _peak(values: NDArray[np.float32], place: int) -> float:
    if not 0 < place < len(values) - 1:
        return float(place)
    before, at, after = (float(value) for value in values[place - 1 : place + 2])
    bend = before - 2 * at + after
    return place + (0.5 * (before - after) / bend if bend < 0 else 0.0)


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(float(np.sqrt((one * one).sum() * (other * other).sum())), 1e-6))


def _explained(given: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Return the share of the variance of `wanted` that a cubic of `given` explains."""
    standard = ((given - given.mean()) / (given.std() + 1e-6)).astype(np.float64)
    powers = np.stack([np.ones_like(standard), standard, standard**2, standard**3], axis=1)
    centred = wanted.astype(np.float64) - float(wanted.mean())
    weights = np.linalg.lstsq(powers.T @ powers, powers.T @ centred, rcond=None)[0]
    rest = centred - powers @ weights
    return 1 - float((rest**2).sum() / max(float((centred**2).sum()), 1e-6))
