"""Scores that a measure can't have are no scores: the table that holds them is damaged."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from swcl_cli.data.columns import RESULTS
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.workspace import write_parquet


def written(folder: Path, measure: str, value: float, low: float | None = None) -> Path:
    rows = {
        "task": ["folder"], "name": ["swcl"], "run": ["seed0"], "seed": [0], "fold": [None], "split": ["test"],
        "measure": [measure], "value": [value], "reason": [None], "primary": [True], "low": [low], "high": [None],
    }  # fmt: skip
    write_parquet(folder / "results.parquet", RESULTS.table(pd.DataFrame(rows)), {"step": "finetune"})
    return folder / "results.parquet"


@pytest.mark.parametrize(
    ("measure", "value"),
    [("auc", 0.5), ("kappa", -1.0), ("mae", 1e6), ("age_mae", 8.4), ("r2", -40.0), ("pearson", 1.0)],
)
def test_what_a_measure_can_be(tmp_path: Path, measure: str, value: float) -> None:
    assert read_columns(written(tmp_path, measure, value), RESULTS)["value"].to_pylist() == [value]


@pytest.mark.parametrize(
    ("measure", "value"),
    [("auc", -3.0), ("kappa", 2.0**62), ("mae", -0.1), ("age_mae", -1.0), ("r2", 1.5), ("pearson", -2)],
)
@pytest.mark.parametrize("column", ["value", "low"])
def test_what_it_cannot_be(tmp_path: Path, measure: str, value: float, column: str) -> None:
    path = written(tmp_path, measure, value) if column == "value" else written(tmp_path, measure, 0.5, value)
    with pytest.raises(SwclError, match=f"column {column} holds other numbers of {measure} than those from"):
        read_columns(path, RESULTS)
