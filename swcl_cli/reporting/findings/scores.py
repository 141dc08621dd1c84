"""Average the task's own measure over the runs of each initialisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from swcl_cli.reporting.findings.percentages import percent, with_interval
from swcl_cli.reporting.findings.splits import TEST, VALIDATION


@dataclass(frozen=True)
class Score:
    """Hold the primary measure of one initialisation on one task, as shares. `spread` is the deviation (n - 1)."""

    task: str
    name: str
    split: str
    measure: str
    mean: float
    spread: float
    runs: int
    low: float
    high: float

    def text(self) -> str:
        """Write in percent: mean ± deviation over the runs, or the single run with its interval over patients."""
        shown = (
            f"{percent(self.mean)} ± {percent(self.spread)}"
            if self.runs > 1
            else with_interval(self.mean, self.low, self.high)
        )
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


def scores(results: pd.DataFrame, split: str = TEST) -> list[Score]:
    """Average by task, then initialisation. Where nothing was measured on the split, what was on validation."""
    averages = []
    for (task, name), rows in results.groupby(["task", "name"], sort=True):
        where, runs = primary_or_validation(rows, split)
        if runs.empty:
            continue
        values = runs["value"].to_numpy(dtype=np.float64)
        single = len(runs) == 1
        low, high = (float(runs[side].iloc[0]) if single else float("nan") for side in ("low", "high"))
        spread = float("nan") if single else float(values.std(ddof=1))
        measure = str(runs["measure"].iloc[0])
        averages.append(Score(str(task), str(name), where, measure, float(values.mean()), spread, len(runs), low, high))
    return averages
