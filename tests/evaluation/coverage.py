"""How often 95 % intervals hold the truth, simulated, as FACTS E13 has it: python -m tests.evaluation.coverage"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from swcl_cli.evaluation.intervals import Interval, interval
from swcl_cli.evaluation.number_measures import number_measures
from swcl_cli.evaluation.resampling import Measure, auc_measure, resampled, share

Drawn = tuple[Measure, NDArray[np.int64]]  # of one data set: the measure, and the patient of each row
Setting = tuple[float, Callable[[np.random.Generator], Drawn]]  # the truth, and how a data set is drawn
RESAMPLES = 400


def mean(values: NDArray[np.float64], patients: NDArray[np.int64]) -> Drawn:
    return Measure(partial(share, values)), patients


def f1(patients: int, eyes: int, spread: float) -> Setting:
    """F1 of photographs around 0.79, on the scale of its log odds; both eyes of a patient share half of the spread."""

    def odds(rng: np.random.Generator, patients: int) -> Any:
        own = np.repeat(rng.normal(size=patients), eyes)
        return 1.3 + spread * (own + rng.normal(size=patients * eyes)) / np.sqrt(2)

    def draw(rng: np.random.Generator) -> Drawn:
        return mean(1 / (1 + np.exp(-odds(rng, patients))), np.repeat(np.arange(patients), eyes))

    return float(np.mean(1 / (1 + np.exp(-odds(np.random.default_rng(9), 10**6))))), draw


def accuracy(patients: int, truth: float) -> Setting:
    return truth, lambda rng: mean((rng.random(patients) < truth).astype(float), np.arange(patients))


def auc(ill: int, well: int, truth: float) -> Setting:
    """Scores of the ill are normal, and higher by a distance that gives the AUC."""
    labels = np.repeat([True, False], [ill, well])

    def draw(rng: np.random.Generator) -> Drawn:
        scores = rng.normal(size=ill + well) + labels * np.sqrt(2) * norm.ppf(truth)
        return auc_measure(labels, scores), np.arange(ill + well)

    return truth, draw


def number(patients: int, correlation: float, name: str) -> Setting:
    """Ages and answers that are as far from them as this correlation says, of both eyes, of which answers are alike."""

    def measure(rng: np.random.Generator, patients: int) -> Measure:
        common, own = rng.normal(size=(2, patients))
        said = np.repeat(common, 2) * correlation**2 + 0.1 * rng.normal(size=2 * patients)
        age = np.repeat(correlation * common + np.sqrt(1 - correlation**2) * own, 2)
        return number_measures("age", 60 + 10 * age, 60 + 10 * said)[name]

    truth = float(measure(np.random.default_rng(9), 10**6).of(np.ones((1, 2 * 10**6)))[0])
    return truth, lambda rng: (measure(rng, patients), np.repeat(np.arange(patients), 2))


SETTINGS: dict[str, Setting] = {
    "F1, STARE, 10 photographs": f1(10, 1, 0.35),
    "F1, CHASE_DB1, 4 children, both eyes": f1(4, 2, 0.25),
    "F1, DRIVE, 20 photographs": f1(20, 1, 0.25),
    "accuracy 0.9 of 20": accuracy(20, 0.9),
    "accuracy 0.95 of 29": accuracy(29, 0.95),
    "accuracy 0.5 of 103, as IDRiD": accuracy(103, 0.5),
    "AUC 0.95, 5 ill and 45 well": auc(5, 45, 0.95),
    "AUC 0.99, 20 and 20": auc(20, 20, 0.99),
    "AUC 0.85, 40 and 360, as REFUGE": auc(40, 360, 0.85),
    "AUC 0.98, 40 and 360": auc(40, 360, 0.98),
    "mean absolute error of 30, both eyes": number(30, 0.6, "mae"),
    "R2 of 30, both eyes": number(30, 0.6, "r2"),
    "Pearson correlation of 30, both eyes": number(30, 0.6, "pearson"),
}


def percentile(measure: Measure, patients: NDArray[np.int64]) -> Interval:
    """The interval of version 0.1: quantiles of a bootstrap."""
    values = np.concatenate([measure.of(weights) for weights in resampled(patients, 0, RESAMPLES)])
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def coverage(setting: Setting, how: Callable[[Measure, NDArray[np.int64]], Interval], data_sets: int) -> float:
    """The share of data sets, drawn anew, of which the interval holds the truth."""
    truth, draw = setting
    rng = np.random.default_rng(0)
    return float(np.mean([low <= truth <= high for low, high in (how(*draw(rng)) for _ in range(data_sets))]))


def table(data_sets: int) -> Iterator[str]:
    for name, setting in SETTINGS.items():
        shares = (coverage(setting, how, data_sets) for how in (percentile, interval))
        yield f"| {name} | " + " | ".join(f"{100 * share:.1f}" for share in shares) + " |"


if __name__ == "__main__":
    for line in table(1000):
        print(line, flush=True)
