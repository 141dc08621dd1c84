"""Groups that figures colour: each photograph is in one, and in its own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from swcl_cli.catalogue.labels import LABELS, Label
from swcl_cli.reporting.findings.colouring import REST, UNKNOWN, colourings


def test_each_photograph_is_in_the_group_of_its_label() -> None:
    stage = Label("stage", "grades", "stage", names=("none", "mild", "severe"))
    rows = pd.DataFrame(
        {
            "dataset": ["a", "a", "b", "b"],
            "stage": ["severe", "none", None, "mild"],
            "abnormal": [True, False, True, None],
            "dr_grade": pd.array([0, None, 4, 4], dtype="Int8"),
            "age": [50, 60, 70, 80],
            "sex": ["male"] * 4,
        }
    )
    ways = colourings(rows, [LABELS["sex"], LABELS["age"], stage, LABELS["abnormal"], LABELS["dr_grade"]])
    told = {way.name: {name: np.flatnonzero(members).tolist() for name, members in way.groups.items()} for way in ways}
    assert told == {
        "stage": {"none": [1], "mild": [3], "severe": [0], UNKNOWN: [2]},
        "abnormal": {"normal": [1], "abnormal": [0, 2], UNKNOWN: [3]},
        "DR grade": {"0": [0], "4": [2, 3], UNKNOWN: [1]},
        "data set": {"a": [0, 1], "b": [2, 3]},
    }
    assert list(told["stage"]) == ["none", "mild", "severe", UNKNOWN]


def test_of_many_values_the_most_frequent_have_groups() -> None:
    cameras = [f"c{number}" for number in range(9) for _ in range(number + 1)]
    label = Label("camera", "classes", "camera", names=tuple(sorted(set(cameras))))
    (way,) = colourings(pd.DataFrame({"dataset": "a", "camera": cameras}), [label])
    assert list(way.groups) == ["c4", "c5", "c6", "c7", "c8", REST]
    assert sum(members.sum() for members in way.groups.values()) == len(cameras) and way.groups[REST].sum() == 10


def test_floats_of_whole_numbers_read_as_such() -> None:
    """And have names where they are of a data set that has some."""
    for dataset, names in {"a": ["0", "2"], "idrid": ["none", "moderate"], "messidor": ["0", "2"]}.items():
        (way,) = colourings(pd.DataFrame({"dataset": dataset, "dr_grade": [0.0, 2.0, np.nan]}), [LABELS["dr_grade"]])
        assert list(way.groups) == [*names, UNKNOWN]
