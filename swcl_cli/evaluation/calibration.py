"""Calibrate probabilities by a temperature, and measure how far they are from what comes true (FACTS E16)."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swcl_cli.evaluation.resampling import Measure, Values, Weights, ratio

Array = NDArray[Any]
BINS = 15  # of equal width, over the probability of the answer (arXiv 1706.04599)
BOUNDS = (0.05, 20.0)  # of a temperature
SMALLEST = float(np.finfo(np.float32).tiny)
MOST_LOG_ODDS = 700.0  # whose power is finite
NEAREST = 2.0**-25  # to 1: half the step of fp32 below it


def at_temperature(probabilities: Array, temperature: float, independent: bool = False) -> NDArray[np.float32]:
    """Return the probabilities (..., K) that their logits, divided by a temperature, have: float32, of the same shape.

    independent: each is the probability of a sign of its own; else they are those of classes that exclude each other.
    The likeliest class stays the likeliest. At 1 they stay as they are.
    """
    if temperature == 1:
        return np.asarray(probabilities, np.float32)
    log = np.log(np.maximum(np.asarray(probabilities, np.float64), SMALLEST))
    if independent:
        against = np.log(np.maximum(1 - np.asarray(probabilities, np.float64), NEAREST))
        odds = np.exp(np.minimum((against - log) / temperature, MOST_LOG_ODDS))  # against the sign
        return np.asarray(1 / (1 + odds), np.float32)
    powers = np.exp((log - log.max(axis=-1, keepdims=True)) / temperature)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def fitted_temperature(truth: Array, probabilities: Array) -> float | None:
    """Return the temperature of the least negative log-likelihood, within BOUNDS; None where the truth has one class.

    truth: (N,) classes, or (N, K) signs, 0 or 1; probabilities: (N, K). log T is standard normal beforehand, which
    matters where rows are few: without it those that are all classified rightly would ask for a temperature of 0.
    """
    from scipy.optimize import minimize_scalar

    if len(np.unique(truth)) < 2:
        return None

    def loss(log_temperature: float) -> float:
        return _negative_log_likelihood(truth, probabilities, float(np.exp(log_temperature))) + log_temperature**2 / 2

    found = minimize_scalar(loss, bounds=tuple(np.log(BOUNDS)), method="bounded", options={"xatol": 1e-7})
    return float(np.exp(found.x))


def _negative_log_likelihood(truth: Array, probabilities: Array, temperature: float) -> float:
    """Return the sum over rows, and signs, of -log p of what is true."""
    signs = truth.ndim == 2
    said = at_temperature(probabilities, temperature, signs).astype(np.float64)
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
