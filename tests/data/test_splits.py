"""Validation splits: a fifth, grouped, stratified, keyed; and who shares an image belongs together."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from swcl_cli.data.splits import group_by_content, validation_groups


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


def test_shared_images_join_patients() -> None:
    patients = ["1", "2", "3", "4", "5", "5"]
    hashes = ["a", "b", "a", "b", "c", "a"]
    assert group_by_content(patients, hashes) == ["1", "2", "1", "2", "1", "1"]


@given(st.lists(st.tuples(st.sampled_from("pqrstu"), st.sampled_from("abcd")), max_size=12))
def test_groups_are_the_connected_components(images: list[tuple[str, str]]) -> None:
    patients = [patient for patient, _ in images]
    groups = dict(zip(patients, group_by_content(patients, [content for _, content in images]), strict=True))
    reached = {patient: {patient} for patient in groups}
    for _ in groups:
        for first, one in images:
            for second, other in images:
                if one == other or first == second:
                    union = reached[first] | reached[second]
                    for patient in union:
                        reached[patient] = union
    assert groups == {patient: min(component) for patient, component in reached.items()}
