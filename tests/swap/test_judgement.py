"""Lesion scores against known lesions."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from swcl_cli.evaluation.metrics import auc, stratified_auc
from swcl_cli.swap.judgement import best_threshold, f1_at, judge_patch_scores, stratified_measure


def test_values_by_hand() -> None:
    # two abnormal images (patients a, b) of 3 patches, one normal image (c) of 2
    truth = [1, 0, 0, 1, 1, 0, 0, 0]
    score = [0.9, 0.2, 0.6, 0.5, 0.7, 0.4, 0.1, 0.3]
    abnormal = [1, 1, 1, 1, 1, 1, 0, 0]
    kinds = {"haemorrhage": [1, 0, 0, 0, 0, 0, 0, 0], "exudate": [0, 0, 0, 1, 1, 0, 0, 0], "drusen": [0] * 8}
    found = judge_patch_scores(truth, score, abnormal, kinds, list("xyzxyzxy"), list("aaabbbcc"), threshold=0.4)
    assert found.auc == pytest.approx(14 / 15)  # 0.5 lies below 0.6
    # at x: 0.9 and 0.5, both true; at y: 0.7 true above 0.2; at z: 0.6 and 0.4, both false: one pair, rightly ordered
    assert found.within_abnormal == pytest.approx(8 / 9) and found.in_place == 1
    assert found.by_position["x"] == 1 and found.by_position["y"] == 1 and math.isnan(found.by_position["z"])
    assert found.by_kind["haemorrhage"] == 1 and found.by_kind["exudate"] == pytest.approx(9 / 10)
    assert math.isnan(found.by_kind["drusen"])
    assert found.threshold == 0.5 and found.f1 == pytest.approx(6 / 7)
    assert found.f1_chosen == pytest.approx(6 / 8)  # 0.4 and above: five patches, all three true ones among them
    assert found.auc_interval[0] <= found.auc <= found.auc_interval[1] <= 1


def test_knowing_the_image_alone_earns_nothing_within_abnormal_images() -> None:
    rng = np.random.default_rng(0)
    abnormal = np.repeat(rng.random(200) < 0.5, 5)
    truth = abnormal & (rng.random(1000) < 0.4)
    patients = np.repeat(np.arange(100), 10)
    found = judge_patch_scores(
        truth, abnormal.astype(float), abnormal, {}, np.tile(np.arange(5), 200), patients, threshold=0.4
    )
    assert found.auc > 0.8 and found.within_abnormal == 0.5


def test_knowing_the_position_alone_earns_nothing_in_place() -> None:
    rng = np.random.default_rng(0)
    positions = np.tile(np.arange(5), 200)
    truth = rng.random(1000) < np.array([0.1, 0.1, 0.8, 0.1, 0.1])[positions]
    score = (positions == 2).astype(float)
    found = judge_patch_scores(truth, score, np.ones(1000), {}, positions, np.repeat(np.arange(200), 5), threshold=0.4)
    assert found.within_abnormal > 0.7 and found.in_place == 0.5


def test_intervals_are_over_patients() -> None:
    rng = np.random.default_rng(0)
    shift = np.repeat(rng.normal(size=30), 20)
    truth = rng.random(600) < 0.3
    score = truth + shift + rng.normal(size=600)
    grouped = judge_patch_scores(
        truth, score, np.ones(600), {}, np.zeros(600), np.repeat(np.arange(30), 20), threshold=0.4
    )
    alone = judge_patch_scores(truth, score, np.ones(600), {}, np.zeros(600), np.arange(600), threshold=0.4)
    assert grouped.auc == alone.auc == auc(truth, score)
    assert grouped.auc_interval != alone.auc_interval
    assert grouped.within_abnormal_interval == grouped.auc_interval  # all images are abnormal here


def test_intervals_of_kinds_and_positions_are_those_of_their_rows() -> None:
    rng = np.random.default_rng(0)
    truth, positions, patients = rng.random(300) < 0.4, np.tile(list("abc"), 100), np.repeat(np.arange(60), 5)
    score = truth + rng.normal(size=300)
    drusen = truth & (rng.random(300) < 0.5)
    kinds = {"drusen": drusen}
    found, without = (
        judge_patch_scores(truth, score, np.ones(300), kinds, positions, patients, threshold=0.4, parts=parts)
        for parts in (True, False)
    )

    def alone(rows: NDArray[np.bool_]) -> tuple[float, float]:
        return judge_patch_scores(
            truth[rows], score[rows], np.ones(rows.sum()), {}, positions[rows], patients[rows], threshold=0.4
        ).auc_interval

    assert found.by_kind_interval == {"drusen": alone(drusen | ~truth)}
    assert found.by_position_interval == {name: alone(positions == name) for name in "abc"}
    assert without.by_kind_interval == without.by_position_interval == {} and without.by_kind == found.by_kind


@pytest.mark.parametrize("strata", [1, 3])
def test_rows_that_count_several_times_or_not(strata: int) -> None:
    """As rows that stand there so often: the same values."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        truth, score = rng.random(120) < 0.2, rng.integers(0, 15, 120) / 14
        stratum, weights = rng.integers(0, strata, 120), rng.integers(0, 3, (20, 120))
        drawn = [np.repeat(np.arange(120), times) for times in weights]
        expected = [stratified_auc(truth[rows], score[rows], stratum[rows]) for rows in drawn]
        measure = stratified_measure(truth, score, stratum)
        assert measure.of(weights.astype(float)) == pytest.approx(expected, abs=1e-12)


def test_f1_of_a_threshold_takes_scores_as_they_are_stored() -> None:
    score = np.array([0.4, 0.39], np.float32)  # in fp32 0.4 is a little more than in double precision
    assert f1_at(0.4, np.array([True, False]), score) == 1
    assert f1_at(0.39, np.array([True, False]), score) == pytest.approx(2 / 3)
    assert f1_at(0.5, np.array([True, False]), score) == 0


def test_best_threshold_against_trying_all() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth, score = rng.random(50) < 0.3, rng.integers(0, 12, 50) / 12
        tried = {t: f1_score(truth, score >= t) for t in score.tolist()}
        threshold, f1 = best_threshold(truth, score)
        assert f1 == pytest.approx(max(tried.values()))
        assert tried[threshold] == pytest.approx(f1)


def test_edges_are_nan_not_errors() -> None:
    found = judge_patch_scores([0, 0], [0.1, 0.2], [0, 0], {}, ["c", "c"], ["a", "b"], threshold=0.4)
    values = [
        found.auc,
        *found.auc_interval,
        found.within_abnormal,
        *found.within_abnormal_interval,
        found.in_place,
        found.f1,
    ]
    assert np.isnan([*values, found.threshold, found.f1_chosen]).all()
