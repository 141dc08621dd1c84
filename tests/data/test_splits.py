"""Validation splits, folds and parts: grouped, stratified, keyed; and who shares an image belongs together."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from swcl_cli.chance import generator
from swcl_cli.data.splits import divided, folds, joined, nested_part, stratifying, validation_groups


def cohort() -> tuple[list[str], list[bool]]:
    """200 patients, both eyes; 60 have one abnormal eye, 40 two."""
    groups = [str(patient) for patient in range(200) for _ in range(2)]
    labels = [(patient < 100 and eye == 0) or patient < 40 for patient in range(200) for eye in range(2)]
    return groups, labels


def test_a_fifth_of_each_stratum() -> None:
    groups, labels = cohort()
    chosen = validation_groups(groups, labels, seed=0, dataset="odir")
    assert Counter(0 if int(group) < 40 else 1 if int(group) < 100 else 2 for group in chosen) == {0: 8, 1: 12, 2: 20}


def test_shares_of_small_strata_add_up_to_a_fifth() -> None:
    labels = [0] * 7 + [1] * 7 + [2] * 3 + [3] * 3 + [4]
    chosen = validation_groups([str(item) for item in range(21)], labels, seed=0, dataset="idrid")
    taken = Counter(labels[int(group)] for group in chosen)
    assert sum(taken.values()) == 4 and taken[0] == taken[1] == 1


def test_keyed_by_seed_and_data_set_alone() -> None:
    groups, labels = cohort()
    chosen = validation_groups(groups, labels, seed=0, dataset="odir")
    assert validation_groups(groups[::-1], labels[::-1], seed=0, dataset="odir") == chosen
    assert validation_groups(groups, labels, seed=1, dataset="odir") != chosen
    assert validation_groups(groups, labels, seed=0, dataset="idrid") != chosen


def test_a_missing_patient_moves_few_others() -> None:
    groups, labels = cohort()
    chosen = validation_groups(groups, labels, seed=0, dataset="odir")
    without = validation_groups(groups[2:], labels[2:], seed=0, dataset="odir")
    assert len((chosen ^ without) - {"0"}) <= 2


def sizes(chosen: set[str]) -> list[int]:
    """How many of the cohort's patients in it have no, one, two abnormal eyes."""
    found = Counter(2 if int(group) < 40 else 1 if int(group) < 100 else 0 for group in chosen)
    return [found[stratum] for stratum in range(3)]


@pytest.mark.parametrize("count", [2, 5, 7])
def test_folds_cover_each_group_once_and_differ_by_one(count: int) -> None:
    groups, labels = cohort()
    found = folds(groups, labels, count, seed=0, dataset="messidor")
    assert found.keys() == set(groups)
    parts = [{group for group in found if found[group] == fold} for fold in range(count)]
    for numbers in ([len(part) for part in parts], *zip(*map(sizes, parts), strict=True)):
        assert max(numbers) - min(numbers) <= 1 and min(numbers) > 0


def test_folds_are_shuffled_by_key_and_not_by_order() -> None:
    groups, labels = cohort()
    found = folds(groups, labels, 5, seed=0, dataset="messidor")
    assert folds(groups[::-1], labels[::-1], 5, seed=0, dataset="messidor") == found
    assert folds(groups, labels, 5, seed=1, dataset="messidor") != found
    assert folds(groups, labels, 5, seed=0, dataset="idrid") != found
    first = {int(group) for group in found if found[group] == 0}
    assert any(patient < 20 for patient in first) and any(patient > 180 for patient in first)


def test_folds_are_as_even_as_those_of_scikit_learn() -> None:
    """Messidor's sizes: 12 joint grades of 1 to 500 photographs, 11 pairs."""
    rng = generator(0, "joint grades")
    groups = [str(item) for item in range(1185)] + [str(item) for item in range(11)]
    labels = rng.choice(12, len(groups), p=(odds := 0.6 ** np.arange(12)) / odds.sum()).tolist()
    found = folds(groups, labels, 5, seed=0, dataset="messidor")

    def worst(parts: list[list[int]]) -> int:
        counts = [Counter(labels[item] for item in part) for part in parts]
        return max(max(count[label] for count in counts) - min(count[label] for count in counts) for label in range(12))

    ours = [[item for item, group in enumerate(groups) if found[group] == fold] for fold in range(5)]
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    theirs = [part.tolist() for _, part in splitter.split(labels, labels, groups)]
    assert worst(ours) <= max(worst(theirs), 3) and max(map(len, ours)) - min(map(len, ours)) <= 4


def test_a_part_is_stratified_and_lies_in_each_larger_one() -> None:
    groups, labels = cohort()
    parts = [nested_part(groups, labels, share / 20, seed=0, dataset="idrid") for share in range(1, 21)]
    assert [len(part) for part in parts] == [10 * (share + 1) for share in range(20)]
    assert all(small < large for small, large in itertools.pairwise(parts))
    for share, part in enumerate(parts, start=1):
        wanted = (5 * share, 3 * share, 2 * share)
        assert all(abs(found - exact) <= 1 for found, exact in zip(sizes(part), wanted, strict=True))
    assert nested_part(groups, labels, 1e-9, seed=0, dataset="idrid") < parts[0]
    assert nested_part(groups, labels, 0.1, seed=1, dataset="idrid") != parts[1]
    assert nested_part(groups[::-1], labels[::-1], 0.1, seed=0, dataset="idrid") == parts[1]


def test_half_of_those_that_are_alone_in_their_stratum_are_drawn_by_key() -> None:
    """Not by their names, nor by their labels."""
    groups = [f"{item:02}" for item in range(40)]
    chosen = [nested_part(groups, range(40), 0.5, seed, "idrid") for seed in range(30)]
    assert all(len(part) == 20 for part in chosen)
    often = Counter(group for part in chosen for group in part)
    assert set(often) == set(groups) and max(often.values()) < 27


def test_shared_images_join_patients() -> None:
    assert joined([["1", "3", "5"], ["2", "4"], ["5"]]) == {"1": "1", "3": "1", "5": "1", "2": "2", "4": "2"}
    assert joined([]) == {}


@given(st.lists(st.lists(st.sampled_from("pqrstu"), min_size=1, max_size=3), max_size=6))
def test_groups_are_the_connected_components(sharing: list[list[str]]) -> None:
    reached = {patient: {patient} for patients in sharing for patient in patients}
    for _ in reached:
        for patients in sharing:
            union = set().union(*(reached[patient] for patient in patients))
            for patient in union:
                reached[patient] = union
    assert joined(sharing) == {patient: min(component) for patient, component in reached.items()}


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(("train", "val", "test")))))
def test_groups_in_several_splits(rows: list[tuple[str, str]]) -> None:
    splits: dict[str, set[str]] = {}
    for group, split in rows:
        splits.setdefault(group, set()).add(split)
    wanted = {group for group, names in splits.items() if len(names) > 1}
    assert divided([group for group, _ in rows], [split for _, split in rows]) == wanted


def test_of_many_labels_some_are_stratified_on() -> None:
    """The second would leave combinations that stand alone, of which always the same ones would validate."""
    rows = [(item % 2, item, "ab"[item // 10 % 2], item % 5) for item in range(40)]
    assert stratifying(rows, 1) == [(row[0], row[2]) for row in rows]
    assert stratifying(rows, 2) == [row[:2] for row in rows]
    assert stratifying([(1, 2)] * 10, 2) == [(1, 2)] * 10
    assert stratifying([], 2) == [] and stratifying([()], 0) == [()]
