"""What the report keeps of each row's stored probabilities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from swcl_cli.reporting.evidence.columns import LIKELIHOOD, POSITIVE
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.workspace import Workspace, read_provenance, write_parquet


def _store(workspace: Workspace, change: dict[str, object]) -> pd.DataFrame:
    """predictions.parquet of one initialisation, with other columns; returns what the report reads of it."""
    path = workspace.finetune("idrid", "swcl") / "predictions.parquet"
    work = read_provenance(path)
    frame = pd.read_parquet(path).iloc[:2].assign(**change)
    write_parquet(path, pa.Table.from_pandas(frame, preserve_index=False), work)
    contents = read_contents(workspace)
    found = contents.classified[contents.classified["name"] == "swcl"]
    assert found.empty == any("idrid/swcl/predictions.parquet" in line for line in contents.damaged)
    return found


def test_any_grade_and_the_true_one(workspace: Workspace) -> None:
    """Heads of two and of three classes."""
    rows = _store(workspace, {"truth": [1, 2], "probabilities": [[0.75, 0.25], [0.5, 0.375, 0.125]]})
    assert rows[POSITIVE].tolist() == [0.25, 0.5]
    assert rows[LIKELIHOOD].tolist() == [0.25, 0.125]


def test_small_probabilities_keep_their_order(workspace: Workspace) -> None:
    """1 - p(grade 0) would round both to 0."""
    rows = _store(workspace, {"truth": [0, 0], "probabilities": [[1.0, 1e-20], [1.0, 2e-20]]})
    assert 0 < rows[POSITIVE].iloc[0] < rows[POSITIVE].iloc[1]


@pytest.mark.parametrize(
    "probabilities",
    [[[0.5, 0.5], [1.0]], [[0.5, 0.5], []], [[0.5, 0.5], None], [[0.5, 0.5], [0.5, np.nan]], [[0.5, 0.5], [-0.5, 1.5]]],
)
def test_rows_without_the_probabilities_of_their_classes_are_damage(
    workspace: Workspace, probabilities: list[list[float] | None]
) -> None:
    assert _store(workspace, {"truth": [1, 1], "probabilities": probabilities}).empty
