"""Count the pixels of many images by their log odds, in memory that does not grow with the pixels (FACTS E9)."""

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
    """Hold the pixels of each image by log odds.

    bound (B,): the lower end of each bin; positive and negative (N, B): pixels of the structure and other pixels.
    """

    bound: NDArray[np.float32]
    positive: Counts
    negative: Counts

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """Return which bins (B,) hold the pixels that the network takes for the structure: log odds above 0."""
        return self.bound > 0


@dataclass
class PixelTally:
    """Collect the log odds of a structure's pixels: `add` each image, then ask for the AUC or the histograms."""

    images: list[tuple[Counts, Counts]] = field(default_factory=list)  # codes that occur, and how often

    def add(self, truth: ArrayLike, log_odds: ArrayLike) -> None:
        """Count an image's pixels. truth, log_odds: of the same shape. Raises ValueError for log odds of NaN."""
        kinds = np.asarray(truth, bool).ravel().astype(np.int32) << 16
        counts = np.bincount(kinds | _codes(np.asarray(log_odds, np.float32).ravel()), minlength=2 * CODES)
        codes = np.flatnonzero(counts)
        if not ((codes % CODES >= LOWEST) & (codes % CODES <= HIGHEST)).all():
            raise ValueError("log odds that are not a number")
        self.images.append((codes.astype(np.uint32), counts[codes].astype(np.uint32)))

    def auc(self) -> float:
        """Return the area under the ROC curve of all images' pixels. NaN where all or none are of the structure."""
        negative, positive = self._pooled()[:, None]
        return float(counted_auc(positive, negative)[0])

    def histograms(self) -> Histograms:
        """Return the counts in at most 256 bins.

        Bins hold about equal shares of the pixels of either kind, so that an AUC of the bins is that of the scores
        within 1e-3, wherever these lie.
        """
        pooled = self._pooled()
        mass = (pooled / np.maximum(pooled.sum(axis=1, keepdims=True), 1)).sum(axis=0)
        level = np.cumsum(mass) / max(mass.sum(), 1)
        starts = np.searchsorted(level, np.arange(1, BINS - 1) / (BINS - 1), side="right") + 1
        starts = np.unique(np.concatenate([[LOWEST, POSITIVE], starts[starts < CODES]]))
        bin_of = np.searchsorted(starts, np.arange(CODES), side="right") - 1
        shape = (len(self.images), 2, len(starts))
        counts = np.zeros(shape, np.int64)
        for number, (codes, times) in enumerate(self.images):
            place = bin_of[codes % CODES] + len(starts) * (codes // CODES)
            counts[number] = np.bincount(place, times, minlength=2 * len(starts)).reshape(2, -1)
        return Histograms(_values(starts), positive=counts[:, 1], negative=counts[:, 0])

    def _pooled(self) -> NDArray[np.float64]:
        """Count the pixels of all images by code: (2, CODES), first those outside the structure, then those in it."""
        pooled = np.zeros(2 * CODES)
        for codes, times in self.images:
            pooled[codes] += times
        return pooled.reshape(2, CODES)


def _codes(numbers: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Map numbers, rounded to half precision, to whole numbers of the same order; beyond 65,504 lies infinity."""
    bits = torch.from_numpy(numbers + np.float32(0)).half().view(torch.int16).numpy()  # no -0; three times numpy's pace
    codes: NDArray[np.uint16] = (bits ^ ((bits >> 15) | np.int16(-0x8000))).view(np.uint16)
    return codes


def _values(codes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the number that each code stands for, the inverse of `_codes`."""
    bits = codes.astype(np.uint16)
    bits = np.where(bits >> 15, bits & np.uint16(0x7FFF), ~bits)
    return bits.view(np.float16).astype(np.float32)
