"""Counted pixels: the AUC is that of all scores, the histograms repeat it, whatever the scale of the log odds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from swcl_cli.evaluation.pixel_tally import BINS, PixelTally
from swcl_cli.evaluation.resampling import counted_auc

Images = list[tuple[NDArray[np.bool_], NDArray[np.float32]]]
SCALES = {
    "as trained": (2.5, 3, -5, 2),
    "far too sure": (8, 8, -18, 7),
    "hardly trained": (0.005, 0.02, -0.005, 0.02),
    "all background": (-2.9, 0.1, -3.1, 0.1),
}


def images(on: float, on_spread: float, off: float, off_spread: float, count: int = 3) -> Images:
    rng = np.random.default_rng(0)
    made: Images = []
    for number in range(count):
        truth = rng.random((60, 50 + number)) < 0.1
        scores = np.where(truth, rng.normal(on, on_spread, truth.shape), rng.normal(off, off_spread, truth.shape))
        made.append((truth, scores.astype(np.float32)))
    return made


def tally(made: Images) -> PixelTally:
    counted = PixelTally()
    for truth, scores in made:
        counted.add(truth, scores)
    return counted


@pytest.mark.parametrize("scale", SCALES)
def test_auc_of_all_pixels_and_of_the_histograms(scale: str) -> None:
    made = images(*SCALES[scale])
    truth, scores = (np.concatenate([image[part].ravel() for image in made]) for part in (0, 1))
    counted = tally(made)
    assert counted.auc() == pytest.approx(roc_auc_score(truth, scores), abs=1e-5)
    histograms = counted.histograms()
    pooled = [kind.sum(axis=0, keepdims=True, dtype=np.float64) for kind in (histograms.positive, histograms.negative)]
    assert counted_auc(*pooled)[0] == pytest.approx(roc_auc_score(truth, scores), abs=1e-3)
    assert 50 < len(histograms.bound) <= BINS


@pytest.mark.parametrize("kinds", [(True, False), (True,), (False,)])
def test_bins_hold_about_equal_shares(kinds: tuple[bool, ...]) -> None:
    """Of either kind, and of the one that is there: none more than another, but for the pixels of its last number."""
    rng, pixels = np.random.default_rng(0), {True: 3_000, False: 30_000}
    made = [(np.full(pixels[kind], kind), rng.normal(2 * kind - 1, 1, pixels[kind])) for kind in kinds]
    found = tally([(truth, scores.astype(np.float32)) for truth, scores in made]).histograms()
    counts = {True: found.positive.sum(axis=0), False: found.negative.sum(axis=0)}
    share = np.mean([counts[kind] / pixels[kind] for kind in kinds], axis=0)
    assert found.positive.dtype == found.negative.dtype == np.int64
    assert share.max() < 1.25 / (BINS - 2) and len(share) > 0.95 * BINS


def test_histograms_count_each_image_by_the_bounds() -> None:
    made = images(*SCALES["as trained"])
    found = tally(made).histograms()
    assert found.bound[0] == -np.inf and (np.diff(found.bound) > 0).all()
    assert found.positive.shape == found.negative.shape == (3, len(found.bound))
    for number, (truth, scores) in enumerate(made):
        halves = scores.astype(np.float16).astype(np.float32)
        place = np.searchsorted(found.bound, halves, side="right") - 1
        for kind, counts in ((truth, found.positive), (~truth, found.negative)):
            np.testing.assert_array_equal(np.bincount(place[kind], minlength=len(found.bound)), counts[number])
        assert found.positive[number][found.predicted].sum() == (truth & (halves > 0)).sum()
        assert found.negative[number][~found.predicted].sum() == (~truth & (halves <= 0)).sum()


def test_signs_zeros_and_infinities() -> None:
    scores = np.array([-np.inf, -1e9, -70000, -1, -0.0, 0.0, 1, 70000, np.inf], np.float32)
    counted = tally([(scores > 0, scores)])
    found = counted.histograms()
    assert counted.auc() == 1
    assert found.positive[:, found.predicted].sum() == 3 and found.negative[:, ~found.predicted].sum() == 6
    assert found.negative[:, found.predicted].sum() == found.positive[:, ~found.predicted].sum() == 0


@pytest.mark.parametrize("truth", [True, False])
def test_one_kind_of_pixel_alone(truth: bool) -> None:
    counted = tally([(np.full((4, 4), truth), np.zeros((4, 4), np.float32))])
    found = counted.histograms()
    assert np.isnan(counted.auc()) and found.positive.sum() == 16 * truth and found.negative.sum() == 16 * (not truth)


def test_no_pixel_at_all() -> None:
    found = tally([(np.zeros(0, bool), np.zeros(0, np.float32))]).histograms()
    assert found.positive.sum() == found.negative.sum() == 0 and len(found.predicted) == found.positive.shape[1]


@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_not_a_number_is_refused(sign: int) -> None:
    with pytest.raises(ValueError, match="not a number"):
        tally([(np.zeros(2, bool), np.array([0.0, sign * np.nan], np.float32))])


def test_memory_does_not_grow_with_the_pixels() -> None:
    sizes = []
    for side in (200, 800):
        scores = np.random.default_rng(0).normal(0, 4, (side, side)).astype(np.float32)
        ((held, times),) = tally([(scores > 1, scores)]).images
        sizes.append(held.nbytes + times.nbytes)
    assert sizes[1] < 2.5 * sizes[0] and sizes[1] < 800 * 800
