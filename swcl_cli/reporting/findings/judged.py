"""Which of the stored predictions a figure speaks of: those on test photographs, else those on validation ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from swcl_cli.reporting.tables.table import percent

TEST, VALIDATION = "test", "val"


def judged(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows on test of each task; of a task that nobody was tested on, those on validation."""
    tested = predictions.loc[predictions["split"] == TEST, "task"].unique()
    kept: pd.DataFrame = predictions[
        (predictions["split"] == TEST) | ((predictions["split"] == VALIDATION) & ~predictions["task"].isin(tested))
    ]
    return kept


def kind_of(rows: pd.DataFrame) -> str:
    """`test` or `validation`, for sentences."""
    return "validation" if (rows["split"] == VALIDATION).all() else "test"


def caution_of(rows: pd.DataFrame) -> str:
    """What a reader must know of rows on validation; empty for those on test."""
    if kind_of(rows) == TEST:
        return ""
    return " Nothing was measured on test photographs; the validation ones chose the epoch too, which flatters."


def average(values: list[float]) -> str:
    """Mean and standard deviation in percent, as in Table II: `87.1 ± 1.2 (n = 5)`; one run's has no deviation."""
    spread = f" ± {percent(float(np.std(values, ddof=1)))}" if len(values) > 1 else ""
    return f"{percent(float(np.mean(values)))}{spread} (n = {len(values)})"
