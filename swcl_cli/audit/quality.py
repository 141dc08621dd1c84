"""Measure how well a photograph shows the retina: one number in [0, 1], the product of its parts."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.audit.field import Field, find_field

LARGEST, REDUCED = 640.0, 448.0  # pixels across the field of view: a larger one is measured at the smaller size
EDGE = 0.94  # of the radius: outside lies the border, and what cameras write on it
LIT = 20  # levels of the brightest channel below which nothing is seen
WHITE, RED = 250, 253  # levels of green and red from which light was clipped
FINE, VESSEL = (0.7, 1.4, 2.8, 5.6), 0.012  # blurs: in pixels; in radii
GRID, LONGEST_PERIOD = 8, 14  # pixels of the side of a block of JPEG, and of one that was resized
SPECTRUM, NEAR = 1024, 0.006  # places of a spectrum; how far frequencies are apart that are one
SEEN, FAINT = 0.3, 0.05  # share of the longest column that another has at least; levels of a bend
LEAST = 1e-3

DOUBTFUL = 0.3  # quality below which a photograph is to be looked at
PARTS = ("field", "clipped", "light", "contrast", "sharpness", "vessels", "blocks")

Plane = NDArray[np.float32]
Flags = NDArray[np.bool_]


class Scale(NamedTuple):
    """Say at which value of a measure nothing can be seen, and from which on nothing is amiss."""

    worst: float
    fair: float

    def part(self, value: float) -> float:
        """Return 0 at and beyond the worst value, 1 at and beyond the fair one, and between them in proportion."""
        return float(np.clip((value - self.worst) / (self.fair - self.worst), 0.0, 1.0))


# Chosen on half of the photographs of five public sets, and judged on the others (FACTS 11).
SCALES = {
    "field": Scale(0.25, 0.8),  # share of the field of view that is in the frame, and lit
    "white": Scale(0.1, 0.002),  # share of it whose green was clipped
    "red": Scale(0.6, 0.2),  # and whose red was
    "light": Scale(45.0, 80.0),  # level of green that a twentieth exceeds
    "contrast": Scale(0.12, 0.45),  # how much of that level lies between it and that which a twentieth is below
    "sharpness": Scale(0.25, 0.5),  # fine over coarse detail
    "vessels": Scale(0.003, 0.015),  # strongest dark lines over brightness
    "grid": Scale(120.0, 45.0),  # how much edges repeat as JPEG's blocks do
    "other_grid": Scale(35.0, 13.0),  # as those of a JPEG that was resized; enlarging alone gives some 12
}


class Quality(NamedTuple):
    """Hold the quality of a photograph, its parts, each in [0, 1], and whether the border of its field was found."""

    quality: float
    field: float
    clipped: float
    light: float
    contrast: float
    sharpness: float
    vessels: float
    blocks: float
    field_found: bool

    @property
    def words(self) -> str:
        """Write it with its parts, the worst first."""
        parts = sorted((float(getattr(self, name)), name) for name in PARTS)
        return f"quality {self.quality:.2f} ({', '.join(f'{name} {value:.2f}' for value, name in parts)})"

    @property
    def reason(self) -> str:
        """Name the worst part."""
        return min(PARTS, key=lambda name: float(getattr(self, name)))


def quality_of(image: NDArray[np.uint8]) -> Quality:
    """Measure a prepared RGB photograph (H, W, 3). Its quality is the product of its parts."""
    field = find_field(image)
    parts = {name: SCALES[name].part(value) for name, value in measures(image, field).items()}
    parts["clipped"] = min(parts.pop("white"), parts.pop("red"))
    parts["blocks"] = min(parts.pop("grid"), parts.pop("other_grid"))
    return Quality(quality=float(np.prod([*parts.values()])), field_found=field.seen, **parts)


def measures(image: NDArray[np.uint8], field: Field) -> dict[str, float]:
    """Return what SCALES are of."""
    disc = _disc(image, field)
    grid, other_grid = _grids(np.asarray(image[..., 1], np.float32), disc)
    if 2 * field.radius > LARGEST:
        image, field = _reduced(image, field)
        disc = _disc(image, field)
    whole = np.pi * (EDGE * field.radius) ** 2
    red, levels, blue = (np.asarray(plane) for plane in cv2.split(image))
    lit = disc & (np.maximum(np.maximum(red, levels), blue) >= LIT)
    green, inside, red = levels.astype(np.float32), levels[lit], red[lit]
    low, middle, high = np.percentile(inside, (5, 50, 95)) if len(inside) else (0.0, 0.0, 0.0)
    fine, coarse = _detail(green, disc)
    return {
        "field": float(lit.sum() / whole),
        "white": float((inside >= WHITE).mean()) if len(inside) else 1.0,
        "red": float((red >= RED).mean()) if len(inside) else 1.0,
        "light": float(high),
        "contrast": float((high - low) / (high + 1)),
        "sharpness": fine / (coarse + LEAST),
        "vessels": _lines(green, disc, VESSEL * field.radius) / (float(middle) + 5),
        "grid": grid,
        "other_grid": other_grid,
    }


def _disc(image: NDArray[np.uint8], field: Field) -> Flags:
    """Tell the pixels of the frame that lie in the field of view, clear of its border."""
    height, width = image.shape[:2]
    across, down = ((np.arange(length) + 0.5 - centre) ** 2 for length, centre in ((width, field.x), (height, field.y)))
    return np.asarray(down[:, None] + across[None, :] <= (EDGE * field.radius) ** 2)


def _reduced(image: NDArray[np.uint8], field: Field) -> tuple[NDArray[np.uint8], Field]:
    scale = REDUCED / (2 * field.radius)
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, Field(field.x * scale, field.y * scale, field.radius * scale, field.seen)


def _detail(green: Plane, disc: Flags) -> tuple[float, float]:
    """Return how much fine and how much coarse detail there is: standard deviations of two bands."""
    weight = disc.astype(np.float32)
    planes = [_mean(green, weight, sigma) for sigma in FINE]
    fine, coarse = planes[0] - planes[1], planes[2] - planes[3]
    inside = disc.astype(np.uint8)
    spreads = [float(cv2.meanStdDev(each, mask=inside)[1][0, 0]) for each in (fine, coarse)]
    return spreads[0], spreads[1]


def _lines(green: Plane, disc: Flags, sigma: float) -> float:
    """Return how strong dark lines are that one in fifty pixels exceeds: of the second derivatives, the one across the
    line less the one along it.
    """
    smooth = _mean(green, disc.astype(np.float32), max(sigma, 1.0))
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) for order in ((2, 0), (0, 2)))
    both = cv2.Sobel(smooth, cv2.CV_32F, 1, 1, ksize=3)
    mean, spread = (across + down) / 2, np.asarray(cv2.magnitude((across - down) / 2, both))
    lines = mean + spread - np.abs(mean - spread)
    within = cv2.erode(disc.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return max(float(np.percentile(lines[within], 98)), 0.0) if within.any() else 0.0


def _grids(green: Plane, disc: Flags) -> tuple[float, float]:
    """Return how much edges repeat at the period of JPEG's blocks, and at any other period, as those of a JPEG do that
    was resized: the highest peak of a spectrum over its median, of rows or columns, where it is lower.
    """
    peaks = np.array([_peaks(green, disc), _peaks(green.T, disc.T)]).min(axis=0)
    return float(peaks[0]), float(peaks[1])


def _peaks(green: Plane, disc: Flags) -> tuple[float, float]:
    """Return the two peaks of columns: of the mean bend of brightness across each of them."""
    inside = disc[:, 1:-1]
    counts = inside.sum(axis=0)
    columns = counts > SEEN * counts.max(initial=0)
    if columns.sum() < LONGEST_PERIOD:
        return 0.0, 0.0
    bends = (np.abs(np.diff(green, 2, axis=1)) * inside).sum(axis=0)[columns] / counts[columns]
    usual = cv2.GaussianBlur(bends[None].astype(np.float32), (0, 0), GRID / 2)[0]
    excess = (bends - usual) / (usual + FAINT) * np.hanning(len(bends))
    strength, frequency = np.abs(np.fft.rfft(excess, SPECTRUM)), np.fft.rfftfreq(SPECTRUM)
    harmonics = np.arange(1, GRID // 2 + 1) / GRID
    on_grid = (np.abs(frequency[:, None] - harmonics) < NEAR).any(axis=1)
    wanted = (frequency > 1 / LONGEST_PERIOD) & (frequency < 0.5)
    median = float(np.median(strength[wanted]))
    if median < LEAST:
        return 0.0, 0.0
    return float(strength[wanted & on_grid].max()) / median, float(strength[wanted & ~on_grid].max()) / median


def _mean(values: Plane, weight: Plane, sigma: float) -> Plane:
    """Average around each pixel, by a Gaussian of sigma pixels, over pixels that have a weight."""
    mean = cv2.GaussianBlur(values * weight, (0, 0), sigma) / (cv2.GaussianBlur(weight, (0, 0), sigma) + LEAST)
    return np.asarray(mean, np.float32)
