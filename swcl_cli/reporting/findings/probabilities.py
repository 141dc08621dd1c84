"""Hold probabilities that models gave photographs, beside the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swcl_cli.evaluation.metrics import Reliability, auc, binary_outcomes, reliability

BINS = 10


@dataclass(frozen=True)
class Probabilities:
    """Hold what one run of a model said of N photographs: the probability, and whether it is so. (N,) each."""

    truth: NDArray[np.bool_]
    score: NDArray[np.float64]

    @property
    def has_both(self) -> bool:
        return bool(self.truth.any() and not self.truth.all())

    def outcomes(self) -> dict[str, float]:
        """Count outcomes at a probability of 0.5."""
        return binary_outcomes(self.truth, self.score)

    def reliability(self) -> Reliability:
        return reliability(self.truth, self.score, BINS)


@dataclass(frozen=True)
class Scored:
    """Hold one line of a figure: its label, the runs behind it (at least one), and their AUC in words, in percent."""

    label: str
    runs: tuple[Probabilities, ...]
    auc: str = ""

    @property
    def calibration_error(self) -> float:
        return self._mean(lambda run: run.reliability().expected_calibration_error)

    @property
    def mean_auc(self) -> float:
        return self._mean(lambda run: auc(run.truth, run.score))

    def _mean(self, measure: Callable[[Probabilities], float]) -> float:
        """Average a measure over the runs."""
        return float(np.mean([measure(run) for run in self.runs]))

    @property
    def pooled(self) -> Reliability:
        """Return the bins of all runs together."""
        truths, scores = [run.truth for run in self.runs], [run.score for run in self.runs]
        return reliability(np.concatenate(truths), np.concatenate(scores), BINS)
