from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.differences import difference_interval, differences_table, per_photograph


def test_differences_equal_values_worked_out_by_hand(contents: Contents) -> None:
    table = differences_table(contents)
    assert table is not None
    found = {(row[0].text, row[1].text): row for row in table.rows}
    assert list(found) == [("IDRiD", "swcl"), ("IDRiD", "imagenet"), ("DRIVE", "swcl")]
    assert found["IDRiD", "swcl"][2].value == pytest.approx(5 / 6 - 1 / 2)
    assert found["IDRiD", "imagenet"][2].value == pytest.approx(1 / 2)
    assert found["DRIVE", "swcl"][2].text == "+0.0 [+0.0, +0.0]"
    assert found["DRIVE", "swcl"][3].text == "not told apart"


def test_a_photograph_is_right_where_all_labels_are(contents: Contents) -> None:
    table = per_photograph(contents).set_index(["task", "name", "image_id"])["score"]
    # random: right in 1, 2, 3 of the first photographs in its three runs; dme_grade alone is always right
    assert [table["idrid", "random", f"test{place}"] for place in range(4)] == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert sorted(table["drive", "swcl"]) == [0.5, 1.0]


def test_a_measure_that_is_no_mean_over_photographs_is_left_out(contents: Contents) -> None:
    results = contents.results.copy()
    chosen = (results["task"] == "idrid") & (results["name"] == "swcl") & (results["run"] == "seed0")
    results.loc[chosen & results["primary"] & (results["split"] == "test"), "value"] = 0.91
    table = differences_table(replace(contents, results=results))
    assert table is not None
    assert ("IDRiD", "swcl") not in {(row[0].text, row[1].text) for row in table.rows}


def test_without_random_there_is_nothing_to_compare(contents: Contents) -> None:
    assert (
        differences_table(replace(contents, classified=contents.classified[:0], segmented=contents.segmented[:0]))
        is None
    )


def test_patients_are_drawn_whole() -> None:
    gap = np.array([1.0, -1.0] * 20)
    assert difference_interval(gap, np.repeat(np.arange(20).astype(str), 2)) == (0.0, 0.0)
    low, high = difference_interval(gap, np.arange(40).astype(str))
    assert low < 0 < high
