"""Log odds of the pixels of many images, counted: memory does not grow with the pixels (FACTS E9)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from swcl_cli.evaluation.resampling import counted_auc

CODES = 1 << 16  # of numbers of half precision: relative steps of 1/2048, hence an AUC that is exact to 1e-5 or better
LOWEST, POSITIVE, HIGHEST = 0x03FF, 0x8001, 0xFC00  # minus infinity, the first number above 0, infinity
BINS = 256

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Histograms:
    """Pixels of each image by log odds: bound (B,) is the lower end of each bin, positive and negative (N, B) count
    pixels of the structure and others. Bins that begin above 0 hold what was found.
    """

    bound: NDArray[np.float32]
    positive: Counts
    negative: Counts

    @property
    def found(self) -> NDArray[np.bool_]:
        return self.bound > 0


@dataclass
class PixelTally:
    """Of one structure: `add` each image; a pixel is found where its log odds are above 0."""

    images: list[tuple[Counts, Counts]] = field(default_factory=list)  # codes that occur, and how often

    def add(self, truth: ArrayLike, log_odds: ArrayLike) -> None:
        """Both of the same shape. Raises ValueError where the log odds are not numbers."""
        kinds = np.asarray(truth, bool).ravel().astype(np.int32) << 16
        counts = np.bincount(kinds | _codes(np.asarray(log_odds, np.float32).ravel()), minlength=2 * CODES)
        held = np.flatnonzero(counts)
        if not ((held % CODES >= LOWEST) & (held % CODES <= HIGHEST)).all():
            raise ValueError("log odds that are not a number")
        self.images.append((held.astype(np.uint32), counts[held].astype(np.uint32)))

    def auc(self) -> float:
        """Over the pixels of all images. NaN where all or none are of the structure."""
        negative, positive = self._pooled()[:, None]
        return float(counted_auc(positive, negative)[0])

    def histograms(self) -> Histograms:
        """In at most 256 bins. Of the pixels of either kind each holds about as many, so that an AUC of the bins is
        that of the scores within 1e-3, wherever these lie.
        """
        pooled = self._pooled()
        mass = (pooled / np.maximum(pooled.sum(axis=1, keepdims=True), 1)).sum(axis=0)
        level = np.cumsum(mass) / max(mass.sum(), 1)
        starts = np.searchsorted(level, np.arange(1, BINS - 1) / (BINS - 1), side="right") + 1
        starts = np.unique(np.concatenate([[LOWEST, POSITIVE], starts[starts < CODES]]))
        bin_of = np.searchsorted(starts, np.arange(CODES), side="right") - 1
        shape = (len(self.images), 2, len(starts))
        counts = np.zeros(shape, np.int64)
        for number, (held, times) in enumerate(self.images):
            place = bin_of[held % CODES] + len(starts) * (held // CODES)
            counts[number] = np.bincount(place, times, minlength=2 * len(starts)).reshape(2, -1)
        return Histograms(_values(starts), positive=counts[:, 1], negative=counts[:, 0])

    def _pooled(self) -> NDArray[np.float64]:
        """(2, CODES): pixels that are not of the structure, and those that are."""
        pooled = np.zeros(2 * CODES)
        for held, times in self.images:
            pooled[held] += times
        return pooled.reshape(2, CODES)


def _codes(numbers: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Whole numbers in the order of the numbers, which are rounded to half precision; beyond 65,504 lies infinity."""
    bits = torch.from_numpy(numbers + np.float32(0)).half().view(torch.int16).numpy()  # no -0; three times numpy's pace
    codes: NDArray[np.uint16] = (bits ^ ((bits >> 15) | np.int16(-0x8000))).view(np.uint16)
    return codes


def _values(codes: NDArray[np.int64]) -> NDArray[np.float32]:
    """The least number of each code."""
    bits = codes.astype(np.uint16)
    bits = np.where(bits >> 15, bits & np.uint16(0x7FFF), ~bits)
    return bits.view(np.float16).astype(np.float32)
