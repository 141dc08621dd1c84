"""Choose the temperature of each head's probabilities on validation, and apply it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from swcl_cli import console
from swcl_cli.evaluation.calibration import at_temperature, fitted_temperature
from swcl_cli.evaluation.class_measures import is_known
from swcl_cli.tasks.class_labels import Labels, Scores

TEMPERATURES = "temperatures"  # by head, in the model file


def chosen_temperatures(labels: Labels, scores: Scores, numbers: Collection[str]) -> dict[str, float]:
    """Return the temperature of each head of classes or signs, of the labels and scores of validation.

    It is 1 where validation has one class, or none, which is told.
    """
    chosen = {}
    for head, truth in labels.items():
        if head in numbers:
            continue
        rows = is_known(truth)
        temperature = fitted_temperature(truth[rows], scores[head][rows])
        if temperature is None:
            console.say(f"{head}: validation has one class alone, so that its probabilities stay as they are.")
        chosen[head] = 1.0 if temperature is None else temperature
    return chosen


def calibrated(scores: Scores, temperatures: Mapping[str, float], several: Collection[str]) -> Scores:
    """Return scores at the temperatures of their heads; those of heads that have none stay. several: of signs."""
    changed = {
        head: at_temperature(torch.from_numpy(scores[head]), temperature, head in several).numpy()
        for head, temperature in temperatures.items()
    }
    return {**scores, **changed}
