"""Calibrate probabilities by a temperature, and measure how far they are from what comes true (FACTS E16)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from swcl_cli.evaluation.resampling import Measure, Values, Weights, ratio

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[Any]
BINS = 15  # of equal width, over the probability of the answer (arXiv 1706.04599)
BOUNDS = (0.05, 20.0)  # of a temperature
SMALLEST = float(np.finfo(np.float32).tiny)
NEAREST = 2.0**-25  # to 1: half the step of fp32 below it


def at_temperature(probabilities: Tensor, temperature: float, independent: bool = False) -> Tensor:
    """Return the probabilities (..., K) that their logits, divided by a temperature, have, in the same precision.

    independent: each is the probability of a sign of its own; else they are those of classes that exclude each other.
    The likeliest class stays the likeliest. At 1 they stay as they are. Networks and evaluation both ask here, so that
    they agree to the bit.
    """
    if temperature == 1:
        return probabilities
    log = probabilities.clamp(min=SMALLEST).log()
    if independent:
        against = (1 - probabilities).clamp(min=NEAREST).log()
        return ((log - against) / temperature).sigmoid()
    return (log / temperature).softmax(dim=-1)


def fitted_temperature(truth: Array, probabilities: Array) -> float | None:
    """Return the temperature of the least negative log-likelihood, within BOUNDS; None where the truth has one class.

    truth: (N,) classes, or (N, K) signs, 0 or 1; probabilities: (N, K). log T is standard normal beforehand, which
    matters where rows are few: without it those that are all classified rightly would ask for a temperature of 0.
    """
    import torch
    from scipy.optimize import minimize_scalar

    if len(np.unique(truth)) < 2:
        return None

    def loss(log_temperature: float) -> float:
        said = at_temperature(given, float(np.exp(log_temperature)), truth.ndim == 2)
        return _negative_log_likelihood(truth, said.numpy()) + log_temperature**2 / 2

    given = torch.from_numpy(np.asarray(probabilities, np.float64))
    found = minimize_scalar(loss, bounds=tuple(np.log(BOUNDS)), method="bounded", options={"xatol": 1e-7})
    return float(np.exp(found.x))


def _negative_log_likelihood(truth: Array, said: Array) -> float:
    """Return the sum over rows, and signs, of -log p of what is true, of probabilities (N, K)."""
    signs = truth.ndim == 2
    true = np.where(truth > 0, said, 1 - said) if signs else said[np.arange(len(said)), truth]
    return float(-np.log(np.maximum(true, NEAREST if signs else SMALLEST)).sum())


def calibration_measure(truth: Array, probabilities: Array, lacking: str = "") -> Measure:
    """Define the expected calibration error: the mean over rows of |share that is right - mean probability| of a bin.

    Of (N,) classes it is about the answer, the likeliest of (N, K) probabilities; of (N, K) signs about each sign.
    """
    if truth.ndim == 2:
        right, said = truth > 0, np.asarray(probabilities, np.float64)
    else:
        answer = probabilities.argmax(axis=1)
        right = (truth == answer)[:, None]
        said = np.take_along_axis(np.asarray(probabilities, np.float64), answer[:, None], axis=1)
    return Measure(partial(calibration_errors, right, said), lacking)


def calibration_errors(right: Array, said: Array, weights: Weights) -> Values:
    """Return the sum over bins b of n_b / n |mean of right - mean of said|, (N, K) each -> (R,).

    Bin b holds what is said with a probability in (b / BINS, (b + 1) / BINS], the first one 0 as well.
    """
    place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], said)
    gaps = [weights @ np.where(place == bin, right - said, 0.0).sum(axis=1) for bin in range(BINS)]
    return ratio(np.abs(gaps).sum(axis=0), weights.sum(axis=1) * said.shape[1])
