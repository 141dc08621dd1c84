"""Rows of audit.parquet: kinds, labels that differ, parted splits, families; and what artefacts have learnt."""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd
import pytest

from swcl_cli.audit.comparing import Outcome, Pair
from swcl_cli.audit.learnt import Made, learnt_copies, learnt_from
from swcl_cli.audit.pairs import rows_of
from swcl_cli.audit.registration import NONE
from swcl_cli.data.columns import AUDIT
from swcl_cli.data.left_out import mark

SAME = NONE._replace(vessels=0.99, levels=0.999, local=1.0, residual=0.05, sharp=0.99, apart=0.001)
PLACES = [  # data set, split, image_id, checksum
    ("a", "train", "1", 10),
    ("a", "test", "2", 11),
    ("a", "train", "3", 11),
    ("b", "train", "1", 12),
    ("b", "val", "2", 13),
    ("c", "test", "1", 14),
]
LABELS = {
    "a": pd.DataFrame({"dr_grade": [0, 3, 3], "sex": ["m", "m", None]}, index=["1", "2", "3"], dtype=object),
    "b": pd.DataFrame({"dr_grade": [0, None], "Sex": ["M", "F"]}, index=["1", "2"], dtype=object),
    "c": pd.DataFrame(index=["1"]),
}


def photographs() -> pd.DataFrame:
    frame = pd.DataFrame(PLACES, columns=["dataset", "split", "image_id", "checksum"])
    name = frame["dataset"] + frame["image_id"]
    return frame.assign(patient_id=name, group_id=name, path="data/" + name + ".jpg")


def rows(*pairs: tuple[int, int], **changed: float) -> list[dict[str, Any]]:
    outcome = Outcome(1.0, 1.0, SAME._replace(**changed))
    compared = [(Pair(one, other, 0, 0.0, 0.0), outcome) for one, other in pairs]
    table = AUDIT.table(rows_of(photographs(), compared, LABELS))
    listed: list[dict[str, Any]] = table.to_pylist()
    return listed


def test_a_pair_that_agrees_in_nothing_has_no_row() -> None:
    assert rows((0, 1), vessels=0.1) == [] and rows() == []


@pytest.mark.parametrize(
    ("pair", "leak", "unlike"),
    [
        ((0, 1), "train and test", "dr_grade 0 and 3"),
        ((1, 2), "test and train", None),  # the sex of one is not known
        ((0, 3), None, None),
        ((1, 3), "test and train", "dr_grade 3 and 0"),  # m and M are one class
        ((0, 4), None, "sex m and F"),
        ((3, 4), "train and val", "Sex M and F"),
        ((0, 5), "train and test", None),  # no label in common
        ((4, 5), "val and test", None),
        ((1, 5), "test and test", None),
    ],
)
def test_splits_and_labels(pair: tuple[int, int], leak: str | None, unlike: str | None) -> None:
    (row,) = rows(pair)
    assert (row["kind"], row["leak"], row["unlike"]) == ("copy", leak, unlike)


def test_a_visit_is_no_leak_and_of_no_family() -> None:
    (row,) = rows((0, 1), degrees=2.0)
    assert (row["kind"], row["leak"], row["unlike"], row["family"]) == ("visit", None, None, None)


def test_equal_files_are_called_so() -> None:
    assert [row["change"] for row in rows((0, 1), (1, 2))] == ["resized or compressed", "equal"]


def test_places_are_those_of_the_photographs() -> None:
    (row,) = rows((1, 3))
    for side, place in (("", 1), ("other_", 3)):
        dataset, split, image_id, _ = PLACES[place]
        wanted = (dataset, split, image_id, f"data/{dataset}{image_id}.jpg")
        assert tuple(row[f"{side}{name}"] for name in ("dataset", "split", "image_id", "path")) == wanted


def test_families_are_chains_of_copies() -> None:
    listed = rows((0, 3), (1, 2), (3, 5))
    assert {(row["image_id"], row["dataset"]): row["family"] for row in listed} == {
        ("1", "a"): 0, ("2", "a"): 1, ("1", "b"): 0,
    }  # fmt: skip


MADE = {  # by path: fingerprint, inputs, and what was left out
    "labeler.safetensors": Made("L", {"odir": "1", "eyepacs": "2"}),
    "swap.parquet": Made("S", {"labeler": "L", "eyepacs": "2"}),
    "swcl.safetensors": Made("W", {"swap": "S", "init": "imagenet"}),
    "more.safetensors": Made("M", {"init": "W", "messidor": "3"}),
    "byol.safetensors": Made("B", {"eyepacs": "2", "init": "random"}),
    "own.safetensors": Made("O", {"init": "O", "gone": "9"}),  # names itself, and a data set that is not here
}
NAMES = ["odir", "eyepacs", "messidor", "idrid"]


def test_data_sets_come_along_with_what_an_artefact_was_made_from() -> None:
    found = learnt_from(MADE, NAMES)
    assert {path: set(learnt) for path, learnt in found.items()} == {
        "labeler.safetensors": {"odir", "eyepacs"},
        "swap.parquet": {"odir", "eyepacs"},
        "swcl.safetensors": {"odir", "eyepacs"},
        "more.safetensors": {"odir", "eyepacs", "messidor"},
        "byol.safetensors": {"eyepacs"},
        "own.safetensors": set(),
    }
    assert not any(marks for learnt in found.values() for marks in learnt.values())


def left_out(**marks: str) -> dict[str, dict[str, set[str]]]:
    """What each artefact has not learnt, by data set, where these leave photographs out: a letter each."""
    made = {path: one._replace(left_out=frozenset(marks.get(path.split(".")[0], ""))) for path, one in MADE.items()}
    found = learnt_from(made, NAMES)
    return {path: {name: set(apart) for name, apart in learnt.items()} for path, learnt in found.items()}


def test_what_is_left_out_was_not_learnt_only_where_each_on_the_way_left_it_out() -> None:
    """The labeler of SWCL's patches has seen both data sets: what it has learnt is in the patches' labels."""
    by_swap = left_out(swap="ab")
    assert by_swap["swap.parquet"] == {"odir": set(), "eyepacs": set()}
    assert left_out(swap="ab", labeler="bc")["swap.parquet"] == {"odir": {"b", "c"}, "eyepacs": {"b"}}
    by_encoder = left_out(swcl="ad", labeler="abc")
    assert by_encoder["swcl.safetensors"] == {"odir": {"a", "b", "c"}, "eyepacs": {"a"}}
    assert by_encoder["more.safetensors"] == {"odir": {"a", "b", "c"}, "eyepacs": {"a"}, "messidor": set()}
    assert left_out(more="a")["more.safetensors"] == {"odir": set(), "eyepacs": set(), "messidor": {"a"}}
    assert left_out(byol="a")["byol.safetensors"] == {"eyepacs": {"a"}}


def by_loops(listed: list[dict[str, Any]], tested: str, learnt: set[str], folds: bool) -> set[str]:
    found = set()
    for row, (own, other) in product(listed, [("", "other_"), ("other_", "")]):
        if row["kind"] != "copy" or row[f"{own}dataset"] != tested:
            continue
        if not folds and row[f"{own}split"] != "test":
            continue
        if row[f"{other}dataset"] not in learnt:
            continue
        if row[f"{other}dataset"] == tested:
            parted = row["group_id"] != row["other_group_id"] if folds else row[f"{other}split"] != "test"
            found |= {row[f"{own}path"]} if parted else set()
        else:
            found.add(row[f"{own}path"])
    return found


@pytest.mark.parametrize("folds", [False, True])
@pytest.mark.parametrize("learnt", [set(), {"b"}, {"a", "c"}, {"a", "b", "c"}])
@pytest.mark.parametrize("tested", ["a", "b", "c"])
def test_tested_photographs_of_which_a_copy_was_learnt(tested: str, learnt: set[str], folds: bool) -> None:
    listed = rows((0, 1), (1, 2), (1, 3), (3, 5), (4, 5)) + rows((0, 5), degrees=2.0)
    found = learnt_copies(pd.DataFrame(listed), tested, dict.fromkeys(learnt, frozenset()), folds)
    assert found == by_loops(listed, tested, learnt, folds)


def test_of_two_parts_of_one_data_set() -> None:
    listed = pd.DataFrame(rows((0, 1), (1, 2)))
    own, other = {"a": frozenset[str]()}, {"b": frozenset[str]()}
    assert learnt_copies(listed, "a", own) == {"data/a2.jpg"} and learnt_copies(listed, "a", other) == set()
    assert learnt_copies(listed, "a", own, folds=True) == {f"data/a{number}.jpg" for number in (1, 2, 3)}
    assert learnt_copies(pd.DataFrame(rows(), columns=AUDIT.names), "a", other) == set()


def test_copies_that_were_left_out_are_no_leak() -> None:
    listed = pd.DataFrame(rows((1, 3), (1, 4)))
    (path,) = learnt_copies(listed, "a", {"b": frozenset()})
    twins = listed["other_path"].tolist()
    assert learnt_copies(listed, "a", {"b": frozenset({mark(twins[0])})}) == {path}
    assert learnt_copies(listed, "a", {"b": frozenset(map(mark, twins))}) == set()
