"""Choose the predictions that a figure shows: those on test photographs, else those on validation ones."""

from __future__ import annotations

import pandas as pd

TEST, VALIDATION = "test", "val"
SPLIT_WORDS = {TEST: "test", VALIDATION: "validation"}


def shown_rows(predictions: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows on test of each task; of a task that nobody was tested on, those on validation."""
    tested = predictions.loc[predictions["split"] == TEST, "task"].unique()
    rows: pd.DataFrame = predictions[
        (predictions["split"] == TEST) | ((predictions["split"] == VALIDATION) & ~predictions["task"].isin(tested))
    ]
    return rows


def split_word(rows: pd.DataFrame) -> str:
    """Return `test` or `validation`, for sentences."""
    return SPLIT_WORDS[VALIDATION if (rows["split"] == VALIDATION).all() else TEST]


def caution_of(rows: pd.DataFrame) -> str:
    """Say what a reader must know of rows on validation; empty for those on test."""
    if split_word(rows) == SPLIT_WORDS[TEST]:
        return ""
    return " Nothing was measured on test photographs; the validation ones chose the epoch too, which flatters."
