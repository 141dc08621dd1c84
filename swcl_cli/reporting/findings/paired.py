"""Compare initialisations on the same photographs by a paired bootstrap over patients and runs.

In a cross-validation a run is a seed: the mean over its folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli import chance
from swcl_cli.catalogue.measures import quality_of
from swcl_cli.evaluation.intervals import Interval, interval
from swcl_cli.evaluation.resampling import Measure, Values, Weights, ranked_auc, ratio, resampled
from swcl_cli.reporting.evidence.columns import POSITIVE

RESAMPLES = 1000
SEED = 0
LEVEL = 0.95
DIGITS = 12  # what is beyond is the order of summation
MEANS = ("joint_accuracy", "accuracy", "f1", "mae")  # of a score a photograph, over photographs; then over structures
AUC = "auc"
NOT_TOLD_APART = "not told apart"
SIDES = (" of the first", " of the second")  # keys of draws where seeds are drawn apart
Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]
Measured = Callable[[Weights], Numbers]  # how often each of P patients counts, (R, P) -> the measure of U runs, (R, U)


@dataclass(frozen=True)
class Sampled:
    """The U seeds of one initialisation, in R resamples of the patients behind a first row in which each counts once.

    seeds: (U,), ascending; values: (R + 1, U) of the measure; of_runs: of each fold of each seed in turn, all patients
    counted once; photographs: (P,) codes, of all runs; patients: how many they are of; interval: over these patients,
    of the mean over seeds; measure: its name.
    """

    seeds: Codes
    values: Numbers
    of_runs: Numbers
    photographs: Codes
    patients: int
    interval: Interval
    measure: str = ""

    @property
    def mean(self) -> float:
        """Return the mean as in Table II."""
        return float(self.values[0].mean())


@dataclass(frozen=True)
class Difference:
    """Hold a difference of means over runs, of shares or in the label's own unit; the interval is NaN where no resample
    has a value.

    with_runs: whether the interval is over runs, too, not over patients alone. paired: where the seeds are not the
    same, how many are shared, which alone are compared; 0 where each side's were drawn apart. measure: its name.
    """

    value: float
    low: float
    high: float
    with_runs: bool
    paired: int | None = None
    measure: str = ""

    @property
    def verdict(self) -> str:
        above, below = ("worse", "better") if quality_of(self.measure).lower else ("better", "worse")
        return above if self.low > 0 else below if self.high < 0 else NOT_TOLD_APART


def sample(rows: pd.DataFrame, measure: str, resamples: int = RESAMPLES) -> dict[str, Sampled]:
    """By initialisation. rows: name, seed, fold (-1 for none), image_id, patient_id, and for a mean `part` and `score`
    (one row a photograph and structure), for an AUC `truth` and POSITIVE (one row a photograph). Raises ValueError
    for other measures.
    """
    if measure not in (*MEANS, AUC):
        raise ValueError(f"{measure} can't be resampled")
    patients, patient = np.unique(rows["patient_id"].to_numpy(dtype=str), return_inverse=True)
    photograph = pd.factorize(rows["image_id"])[0].astype(np.int64)
    keys = rows[["name", "seed", "fold"]]
    runs = keys.drop_duplicates().sort_values(["name", "seed", "fold"]).reset_index(drop=True)
    run = keys.merge(runs.assign(run=range(len(runs))), how="left")["run"].to_numpy(dtype=np.int64)
    measured = (_aucs if measure == AUC else _means)(rows, patient, run, len(patients))
    drawn = chain([np.ones((1, len(patients)))], resampled(np.arange(len(patients)), SEED, resamples))
    values = np.concatenate([measured(weights) for weights in drawn])  # (R + 1, U)
    truth = rows["truth"].to_numpy() > 0 if measure == AUC else None
    sampled = {}
    for name, of_name in runs.groupby("name", sort=True):
        own = (rows["name"] == name).to_numpy()
        seeds, seed = np.unique(of_name["seed"].to_numpy(dtype=np.int64), return_inverse=True)
        kinds = (own,) if truth is None else (own & truth, own & ~truth)
        parts = tuple(np.isin(np.arange(len(patients)), patient[kind]) for kind in kinds)

        def of_seeds(values: Numbers, of_name: pd.DataFrame = of_name, seed: Codes = seed) -> Numbers:
            folds = [values[:, of_name.index[seed == number]].mean(axis=1) for number in range(int(seed.max()) + 1)]
            return np.stack(folds, axis=1)

        def mean(weights: Weights, of_seeds: Callable[[Numbers], Numbers] = of_seeds) -> Values:
            means: Values = of_seeds(measured(weights)).mean(axis=1)
            return means

        highest = 1.0 if quality_of(measure).is_share else np.inf
        over_patients = Measure(mean, parts=parts, highest=highest, of_pairs=measure == AUC)
        sampled[str(name)] = Sampled(
            seeds, of_seeds(values), values[0, of_name.index], np.unique(photograph[own]),
            len(np.unique(patient[own])), interval(over_patients, np.arange(len(patients))), measure,
        )  # fmt: skip
    return sampled


def difference(first: Sampled, second: Sampled) -> Difference:
    """`first` minus `second`. Seeds that both have are drawn together; others are left out where two are shared.

    Where fewer are, each initialisation's seeds are drawn apart. Where either has one seed alone, nobody knows how much
    runs differ: patients alone are drawn. Of few patients the quantiles lie farther out, as Student's t does: this is
    the expanded percentile interval (Hesterberg 2015, "What teachers should know about the bootstrap").
    """
    both = (first, second)
    shared, rows = np.intersect1d(first.seeds, second.seeds), len(first.values)
    with_runs = min(len(each.seeds) for each in both) > 1
    alike = all(len(each.seeds) == len(shared) for each in both)
    together = with_runs and len(shared) > 1
    seeds = [shared if together else each.seeds for each in both]
    if not with_runs:
        times = [np.ones((rows, len(own))) for own in seeds]
    else:
        times = [_times(len(own), rows - 1, "" if together else side) for own, side in zip(seeds, SIDES, strict=True)]
    means = [_mean(each, own, drawn) for each, own, drawn in zip(both, seeds, times, strict=True)]
    gaps = np.round(means[0] - means[1], DIGITS) + 0.0  # no minus before a zero
    kept = gaps[1:][~np.isnan(gaps[1:])]
    tail = expanded_tail(first.patients)
    ends = np.quantile(kept, [tail, 1 - tail]) if len(kept) and tail > 0 else (np.nan, np.nan)
    paired = None if alike or not with_runs else len(shared) if together else 0
    return Difference(float(gaps[0]), float(ends[0]), float(ends[1]), with_runs, paired, first.measure)


def expanded_tail(patients: int) -> float:
    """Return the share of resamples beyond each end of an interval: 2.5 % of many patients, less of few, 0 of one."""
    from scipy.special import ndtr, stdtrit

    if patients < 2:
        return 0.0
    return float(ndtr(-np.sqrt(patients / (patients - 1)) * stdtrit(patients - 1, (1 + LEVEL) / 2)))


def _times(seeds: int, resamples: int, side: str) -> Numbers:
    """(R + 1, seeds): how often each seed counts; in the first row once. One fewer is drawn than there are: then the
    variance of the mean of a few is right, which a draw of all would make too small by one in that many.
    """
    draws = chance.generator(SEED, f"bootstrap of runs{side}").integers(seeds, size=(resamples, seeds - 1))
    drawn = (draws + seeds * np.arange(resamples)[:, None]).ravel()
    times = np.bincount(drawn, minlength=resamples * seeds).reshape(resamples, seeds)
    return np.concatenate([np.ones((1, seeds)), times.astype(np.float64)])


def _mean(sampled: Sampled, seeds: Codes, times: Numbers) -> Values:
    """Average the values of these seeds, each as often as it counts, in each resample: (R + 1,)."""
    own = sampled.values[:, np.searchsorted(sampled.seeds, seeds)]
    return ratio((times * own).sum(axis=1), times.sum(axis=1))


def _means(rows: pd.DataFrame, patient: Codes, run: Codes, patients: int) -> Measured:
    """Average the scores of the photographs of each run, and that over parts (structures)."""
    parts, part = np.unique(rows["part"].to_numpy(dtype=str), return_inverse=True)
    runs = int(run.max()) + 1
    cell, size = (patient * runs + run) * len(parts) + part, patients * runs * len(parts)
    score = np.bincount(cell, rows["score"].to_numpy(dtype=np.float64), size).reshape(patients, -1)
    count = np.bincount(cell, minlength=size).reshape(patients, -1).astype(np.float64)

    def measured(weights: Weights) -> Numbers:
        of_parts: Numbers = ratio(weights @ score, weights @ count).reshape(len(weights), runs, len(parts))
        means: Numbers = of_parts.mean(axis=2)
        return means

    return measured


def _aucs(rows: pd.DataFrame, patient: Codes, run: Codes, patients: int) -> Measured:
    truth, score = rows["truth"].to_numpy() > 0, rows[POSITIVE].to_numpy(dtype=np.float64)
    of_runs = np.split(np.argsort(run, kind="stable"), np.cumsum(np.bincount(run))[:-1])

    def measured(weights: Weights) -> Numbers:
        return np.stack([ranked_auc(truth[own], score[own], weights[:, patient[own]]) for own in of_runs], axis=1)

    return measured


def best_other(sampled: Mapping[str, Sampled], name: str, order: Sequence[str]) -> str | None:
    """The other initialisation with the best mean, among those that saw the same photographs; of equal ones the
    first in `order`.
    """
    others = [other for other in order if other != name and comparable(sampled[other], sampled[name])]

    def merit(other: str) -> float:
        return quality_of(sampled[other].measure).merit(round(sampled[other].mean, DIGITS))

    return max(others, key=merit, default=None)


def comparable(first: Sampled, second: Sampled) -> bool:
    return np.array_equal(first.photographs, second.photographs)
