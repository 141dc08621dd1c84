"""Temperatures against their optimum by other means, and calibration errors against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from swcl_cli.evaluation.calibration import (
    BOUNDS,
    calibration_errors,
    calibration_measure,
    fitted_temperature,
)
from swcl_cli.evaluation.calibration import at_temperature as tensor_at_temperature
from swcl_cli.evaluation.metrics import reliability

RNG = np.random.default_rng(0)
LOGITS = 3 * RNG.normal(size=(400, 5))
CLASSES = np.array([RNG.choice(5, p=softmax(row / 2.5)) for row in LOGITS])
SIGN_LOGITS = 3 * RNG.normal(size=(400, 3))
SIGNS = (RNG.random((400, 3)) < expit(SIGN_LOGITS / 2)).astype(np.int64)


def at_temperature(probabilities: Any, temperature: float, independent: bool = False) -> Any:
    return tensor_at_temperature(torch.from_numpy(probabilities), temperature, independent).numpy()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_probabilities_are_those_of_divided_logits(temperature: float) -> None:
    given = softmax(LOGITS, axis=1).astype(np.float32)
    found = at_temperature(given, temperature)
    np.testing.assert_allclose(found, softmax(LOGITS / temperature, axis=1), atol=2e-6)
    assert found.dtype == np.float32 and (found.argmax(axis=1) == given.argmax(axis=1)).all()
    signs = at_temperature(expit(SIGN_LOGITS).astype(np.float32), temperature, independent=True)
    np.testing.assert_allclose(signs, expit(SIGN_LOGITS / temperature), atol=2e-5)
    one = at_temperature(given[0], temperature)
    np.testing.assert_array_equal(one, found[0])  # of a photograph alone, as predict has it


def test_extreme_probabilities_stay_finite() -> None:
    given = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    for temperature in BOUNDS:
        found = at_temperature(given, temperature)
        assert np.isfinite(found).all() and found.sum(axis=1) == pytest.approx(1)
        assert np.isfinite(at_temperature(given, temperature, independent=True)).all()


@pytest.mark.parametrize("signs", [False, True])
def test_the_temperature_has_the_least_loss(signs: bool) -> None:
    """By torch and a grid, on logits that were too large by a known factor."""
    logits, truth = (SIGN_LOGITS, SIGNS) if signs else (LOGITS, CLASSES)
    given = expit(logits) if signs else softmax(logits, axis=1)
    found = fitted_temperature(truth, given.astype(np.float32))
    z, t = torch.from_numpy(logits), torch.from_numpy(truth)

    def loss(temperature: float) -> float:
        of_logits: Any = z / temperature
        functional = torch.nn.functional
        entropy = (
            functional.binary_cross_entropy_with_logits(of_logits, t.double(), reduction="sum")
            if signs
            else functional.cross_entropy(of_logits, t, reduction="sum")
        )
        return float(entropy.item() + np.log(temperature) ** 2 / 2)

    grid = np.linspace(1, 4, 3001)
    assert found == pytest.approx(grid[np.argmin([loss(value) for value in grid])], abs=2e-3)
    assert found == pytest.approx(2 if signs else 2.5, rel=0.15)


def test_temperatures_where_little_is_known() -> None:
    assert fitted_temperature(np.zeros(4, np.int64), np.full((4, 3), 1 / 3)) is None
    assert fitted_temperature(np.zeros(0, np.int64), np.zeros((0, 3))) is None
    assert fitted_temperature(np.ones((4, 2), np.int64), np.full((4, 2), 0.5)) is None
    right = fitted_temperature(np.array([0, 1]), np.array([[0.8, 0.2], [0.2, 0.8]]))
    assert right is not None and 0.5 < right < 1, "two answers that are right ask for no certainty"
    wrong = fitted_temperature(np.tile([0, 1], 500), np.tile([[1.0, 0.0]], (1000, 1)))
    assert wrong is not None and wrong <= BOUNDS[1]


def naive(right: Any, said: Any) -> float:
    total = 0.0
    for number in range(15):
        inside = [
            (ok, probability)
            for ok, probability in zip(np.ravel(right), np.ravel(said), strict=True)
            if number / 15 < probability <= (number + 1) / 15 or (number == 0 and probability == 0)
        ]
        if inside:
            share = sum(ok for ok, _ in inside) / len(inside)
            mean = sum(probability for _, probability in inside) / len(inside)
            total += len(inside) / np.size(said) * abs(share - mean)
    return total


def test_calibration_errors_of_rows_that_count_several_times() -> None:
    probabilities = softmax(LOGITS[:60], axis=1)
    weights = np.vstack([np.ones(60), RNG.integers(0, 3, (6, 60))]).astype(np.float64)
    found = calibration_measure(CLASSES[:60], probabilities).of(weights)
    answer = probabilities.argmax(axis=1)
    for times, value in zip(weights.astype(int), found, strict=True):
        right, said = np.repeat(answer == CLASSES[:60], times), np.repeat(probabilities.max(axis=1), times)
        assert value == pytest.approx(naive(right, said))
    signs = expit(SIGN_LOGITS[:60])
    found = calibration_measure(SIGNS[:60], signs).of(weights)
    for times, value in zip(weights.astype(int), found, strict=True):
        assert value == pytest.approx(naive(np.repeat(SIGNS[:60], times, axis=0), np.repeat(signs, times, axis=0)))


def test_calibration_errors_by_hand_and_as_of_the_reliability_figure() -> None:
    right, said = np.array([[1], [0], [1]]), np.array([[0.9], [0.9], [0.2]])
    assert calibration_errors(right, said, np.ones((1, 3)))[0] == pytest.approx((2 * 0.4 + 0.8) / 3)
    probabilities = softmax(LOGITS, axis=1)
    expected = reliability(probabilities.argmax(axis=1) == CLASSES, probabilities.max(axis=1), 15)
    once = np.ones((1, 400))
    before = calibration_measure(CLASSES, probabilities).of(once)[0]
    assert before == pytest.approx(expected.expected_calibration_error)
    after = calibration_measure(CLASSES, at_temperature(probabilities, 2.5)).of(once)[0]
    assert after < before / 2
    assert np.isnan(calibration_measure(CLASSES[:0], probabilities[:0]).of(np.ones((1, 0)))[0])
