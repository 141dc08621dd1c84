"""Columns: the type that a file has, and the ones that may be null."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from swcl_cli.data.columns import (
    CLASSIFIED,
    GRID,
    LABELER_SCORES,
    MANIFEST,
    RESULTS,
    SEGMENTED,
    SWAP,
    Columns,
    segmented,
)

ALL = (MANIFEST, SWAP, LABELER_SCORES, RESULTS, GRID, CLASSIFIED, SEGMENTED)


@pytest.mark.parametrize("columns", ALL)
def test_a_name_stands_once_and_gaps_are_names(columns: Columns) -> None:
    assert len(set(columns.names)) == len(columns.names) and columns.gaps <= set(columns.names)


def test_a_reader_asks_for_some_columns() -> None:
    some = RESULTS.only(["value", "task"])
    assert (some.names, some.required, some.key) == (["value", "task"], ["task"], ())
    assert RESULTS.only(RESULTS.names) == RESULTS
    with pytest.raises(KeyError, match="loss"):
        RESULTS.only(["loss"])


def test_a_table_has_the_order_and_types_of_its_columns() -> None:
    frame = pd.DataFrame({"score": [0.5], "truth": [True], "image_id": "1", "patient_id": "1", "dataset": "odir"})
    table = LABELER_SCORES.table(frame)
    assert table.schema.remove_metadata() == LABELER_SCORES.schema and table.column_names[0] == "dataset"
    for wrong in (frame.drop(columns="score"), frame.assign(extra=1)):
        with pytest.raises(ValueError, match=r"which differ in \['(score|extra)'\]"):
            LABELER_SCORES.table(wrong)


def test_a_column_without_values_keeps_its_type() -> None:
    """As without schema a column of nulls would be of the type null, which no other run's column goes with."""
    row = dict.fromkeys(RESULTS.names) | {"task": "idrid", "primary": True}
    assert RESULTS.table(pd.DataFrame([row])).schema.field("reason").type == pa.string()


def test_segmentations_have_what_their_task_has() -> None:
    whole = segmented(("cup", "disc"), in_field=True)
    assert [name for name in whole.names if name not in SEGMENTED.names] == [
        "cup_to_disc_truth", "cup_to_disc", "log_odds_fov", "positives_fov", "negatives_fov",
    ]  # fmt: skip
    assert [name for name in whole.names if name in SEGMENTED.names] == SEGMENTED.names
