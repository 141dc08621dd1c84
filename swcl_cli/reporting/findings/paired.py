"""Compare initialisations on the same photographs by a paired bootstrap over patients and runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli import chance
from swcl_cli.evaluation.resampling import Values, Weights, ranked_auc, ratio, resampled
from swcl_cli.reporting.evidence.columns import POSITIVE

RESAMPLES = 1000
SEED = 0
LEVEL = 0.95
DIGITS = 12  # what is beyond is the order of summation
MEANS = ("joint_accuracy", "accuracy", "f1")  # of a score a photograph, over photographs; then over structures
AUC = "auc"
Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]
Measured = Callable[[Weights], Numbers]  # how often each of P patients counts, (R, P) -> the measure of U runs, (R, U)


@dataclass(frozen=True)
class Sampled:
    """The U runs of one initialisation, in R resamples of the patients behind a first row in which each counts once.

    seeds: (U,), ordered by seed and fold; values: (R + 1, U) of the measure; photographs: (P,) codes, of all runs.
    """

    seeds: Codes
    values: Numbers
    photographs: Codes

    @property
    def mean(self) -> float:
        """Return the mean as in Table II."""
        return float(self.values[0].mean())


@dataclass(frozen=True)
class Difference:
    """Hold a difference of means over runs, as shares; the interval is NaN where no resample has a value."""

    value: float
    low: float
    high: float
    with_runs: bool  # drawn too, not patients alone

    @property
    def verdict(self) -> str:
        return "better" if self.low > 0 else "worse" if self.high < 0 else "not told apart"


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
    sampled = {}
    for name, of_name in runs.groupby("name", sort=True):
        seen = np.unique(photograph[(rows["name"] == name).to_numpy()])
        sampled[str(name)] = Sampled(of_name["seed"].to_numpy(dtype=np.int64), values[:, of_name.index], seen)
    return sampled


def difference(first: Sampled, second: Sampled) -> Difference:
    """`first` minus `second`. Runs are drawn by their seeds, which both share where both have them; a seed's folds stay
    together. Where either has one seed alone, nobody knows how much runs differ: patients alone are drawn.
    """
    with_runs = min(len(np.unique(each.seeds)) for each in (first, second)) > 1
    seeds, rows = np.union1d(first.seeds, second.seeds), len(first.values)
    times = _times(len(seeds), rows - 1) if with_runs else np.ones((rows, len(seeds)))
    gaps = np.round(_mean(first, seeds, times) - _mean(second, seeds, times), DIGITS) + 0.0  # no minus before a zero
    kept = gaps[1:][~np.isnan(gaps[1:])]
    ends = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(kept) else (np.nan, np.nan)
    return Difference(float(gaps[0]), float(ends[0]), float(ends[1]), with_runs)


def _times(seeds: int, resamples: int) -> Numbers:
    """(R + 1, seeds): how often each seed counts; in the first row once. One fewer is drawn than there are: then the
    variance of the mean of a few is right, which a draw of all would make too small by one in that many.
    """
    draws = chance.generator(SEED, "bootstrap of runs").integers(seeds, size=(resamples, seeds - 1))
    drawn = (draws + seeds * np.arange(resamples)[:, None]).ravel()
    times = np.bincount(drawn, minlength=resamples * seeds).reshape(resamples, seeds)
    return np.concatenate([np.ones((1, seeds)), times.astype(np.float64)])


def _mean(sampled: Sampled, seeds: Codes, times: Numbers) -> Values:
    """Average its runs in each resample: NaN where none of them was drawn."""
    own = times[:, np.searchsorted(seeds, sampled.seeds)]  # (R + 1, U)
    return ratio((own * sampled.values).sum(axis=1), own.sum(axis=1))


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
    """The other initialisation with the highest mean, among those that saw the same photographs; of equal ones the
    first in `order`.
    """
    others = [other for other in order if other != name and comparable(sampled[other], sampled[name])]
    return max(others, key=lambda other: round(sampled[other].mean, DIGITS), default=None)


def comparable(first: Sampled, second: Sampled) -> bool:
    return np.array_equal(first.photographs, second.photographs)
