"""Average the task's own measure over the runs of each initialisation: over a seed's folds, then over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.evaluation.intervals import NONE, Interval
from swcl_cli.reporting.findings.percentages import decimals_of, with_interval, written
from swcl_cli.reporting.findings.splits import TEST, VALIDATION


@dataclass(frozen=True)
class Score:
    """Hold the primary measure of one initialisation on one task, as a share or in the label's own unit.

    runs: its seeds, each the mean of its folds in a cross-validation; spread: their deviation (n - 1); low and high:
    the interval over patients, NaN where it is unknown.
    """

    task: str
    name: str
    split: str
    measure: str
    mean: float
    spread: float
    runs: int
    low: float
    high: float

    @property
    def shown(self) -> str:
        """Write the mean, shares in percent."""
        return written(self.mean, self.measure)

    @property
    def merit(self) -> float:
        """Return a number that is the larger the better the score is, as it is shown: equal ones are equal."""
        return quality_of(self.measure).merit(float(self.shown))

    def text(self) -> str:
        """Write mean, deviation over runs and interval over patients: `87.1 ± 1.2 [81.0, 91.6] (n = 5)`."""
        spread = f" ± {written(self.spread, self.measure, decimals_of(self.measure, self.mean))}"
        around = with_interval(self.mean, self.low, self.high, self.measure).removeprefix(self.shown)
        shown = f"{self.shown}{spread if self.runs > 1 else ''}{around}"
        return f"{shown} (n = {self.runs})" + ("" if self.split == TEST else ", validation")


def primary(results: pd.DataFrame, split: str) -> pd.DataFrame:
    """Keep one row a run with a number for the task's own measure on `split`."""
    rows: pd.DataFrame = results[
        results["primary"].astype(bool) & (results["split"] == split) & results["value"].notna()
    ]
    return rows


def primary_or_validation(results: pd.DataFrame, split: str = TEST) -> tuple[str, pd.DataFrame]:
    """Return the split and its rows; where nothing was measured on it, those of validation."""
    rows = primary(results, split)
    return (split, rows) if len(rows) else (VALIDATION, primary(results, VALIDATION))


def of_seeds(runs: pd.DataFrame) -> pd.Series:
    """Average the values of rows within each seed: those of a cross-validation over its folds."""
    return runs.groupby("seed")["value"].mean()


def over_runs(runs: pd.DataFrame, measure: str) -> tuple[float, Interval, int] | None:
    """Return the mean of a measure over seeds, the interval of a single run, and the count of seeds.

    None where nothing is known.
    """
    measured = runs[(runs["measure"] == measure) & runs["value"].notna()]
    if measured.empty:
        return None
    values = of_seeds(measured)
    single = len(measured) == 1
    ends = (float(measured["low"].iloc[0]), float(measured["high"].iloc[0])) if single else NONE
    return float(values.mean()), ends, len(values)


def scores(
    results: pd.DataFrame, split: str = TEST, over_patients: Mapping[tuple[str, str, str], Interval] | None = None
) -> list[Score]:
    """Average by task, then initialisation. Where nothing was measured on the split, what was on validation.

    over_patients: intervals by task, name and split; of a single run else the one that is stored.
    """
    averages = []
    for (task, name), rows in results.groupby(["task", "name"], sort=True):
        where, runs = primary_or_validation(rows, split)
        if runs.empty:
            continue
        values = of_seeds(runs).to_numpy(dtype=np.float64)
        stored = (float(runs["low"].iloc[0]), float(runs["high"].iloc[0])) if len(runs) == 1 else NONE
        ends = (over_patients or {}).get((str(task), str(name), where), stored)
        spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        measure = str(runs["measure"].iloc[0])
        averages.append(Score(str(task), str(name), where, measure, float(values.mean()), spread, len(values), *ends))
    return averages
