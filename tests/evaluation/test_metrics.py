"""Measures: against plain loops, by hand, at their edges; the bootstrap against theory."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from swcl_cli.evaluation.metrics import (
    auc,
    bootstrap_interval,
    dice_per_image,
    f1_vessels,
    joint_accuracy,
    quadratic_kappa,
    stratified_auc,
)


def test_auc_is_the_share_of_ordered_pairs() -> None:
    rng = np.random.default_rng(0)
    truth, score = rng.integers(0, 2, 60), rng.integers(0, 12, 60) / 12  # with ties
    pairs = [(p > n) + 0.5 * (p == n) for p in score[truth == 1] for n in score[truth == 0]]
    assert auc(truth, score) == pytest.approx(np.mean(pairs))
    assert auc(truth, score) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)


def test_auc_by_hand_and_at_the_edges() -> None:
    assert auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
    for one_class in ([0, 0], [1, 1], []):
        assert math.isnan(auc(one_class, np.zeros(len(one_class))))
    with pytest.raises(ValueError, match="NaN"):
        auc([0, 1, 1], [0.1, math.nan, 0.2])


def image(text: str) -> NDArray[np.bool_]:
    return np.array([[character == "#" for character in row] for row in text.split()])


def test_dice_by_hand_and_at_the_edges() -> None:
    full, half, none = image("## ##"), image("#. #."), image(".. ..")
    np.testing.assert_allclose(
        dice_per_image([full, full, none, none, half], [half, full, none, half, ~half]), [2 / 3, 1, 1, 0, 0]
    )


def test_dice_against_loops() -> None:
    rng = np.random.default_rng(0)
    truths, predictions = rng.random((2, 5, 7, 9)) < 0.4
    expected = []
    for truth, prediction in zip(truths, predictions, strict=True):
        pairs = list(zip(truth.ravel(), prediction.ravel(), strict=True))
        hits, wrong = sum(t and p for t, p in pairs), sum(t != p for t, p in pairs)
        expected.append(2 * hits / (2 * hits + wrong))
    np.testing.assert_allclose(dice_per_image(list(truths), list(predictions)), expected)


def test_vessel_measures_by_hand() -> None:
    truths = [image("##.. ...."), image("#... ....")]
    scores = [np.where(image("#... ...."), 0.9, 0.2), np.where(image("##.. ##.."), 0.7, 0.1)]
    measures = f1_vessels(truths, scores)
    assert measures["f1"] == pytest.approx((2 / 3 + 2 / 5) / 2)  # 1 hit of 2; 1 hit, 3 false
    assert measures["f1_pooled"] == pytest.approx(2 * 2 / (3 + 5))
    assert measures["sensitivity"] == pytest.approx(2 / 3)
    assert measures["specificity"] == pytest.approx(10 / 13)
    pooled = np.concatenate([truth.ravel() for truth in truths]), np.concatenate([score.ravel() for score in scores])
    assert measures["auc"] == pytest.approx(roc_auc_score(*pooled))
    assert "f1_fov" not in measures


def test_vessel_measures_inside_the_field_of_view() -> None:
    truths = [image("##.. ...."), image("#... ....")]
    scores = [np.where(image("#... ...."), 0.9, 0.2), np.where(image("##.. ##.."), 0.7, 0.1)]
    inside = [image("#.## ####"), image("#... ..##")]  # hides the miss and the false vessels
    measures = f1_vessels(truths, scores, inside)
    assert measures["f1_fov"] == measures["sensitivity_fov"] == measures["specificity_fov"] == measures["auc_fov"] == 1
    assert measures["f1"] == f1_vessels(truths, scores)["f1"] < 1


def test_half_is_background_as_for_argmax() -> None:
    assert f1_vessels([image("#.")], [np.array([[0.51, 0.5]])])["f1"] == 1


def test_joint_accuracy_asks_all_labels_to_be_right() -> None:
    truths = {"dr": np.array([0, 1, 2, 3]), "dme": np.array([0, 0, 1, 2])}
    predictions = {"dr": np.array([0, 1, 0, 3]), "dme": np.array([0, 1, 1, 2])}
    assert joint_accuracy(truths, predictions) == 0.5
    assert joint_accuracy(truths, truths) == 1
    with pytest.raises(ValueError, match="dme"):
        joint_accuracy(truths, {"dr": predictions["dr"]})


def test_quadratic_kappa_against_its_definition() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 80)
    prediction = np.clip(truth + rng.integers(-1, 2, 80), 0, 4)
    observed = expected = 0.0
    for t in truth:
        expected += np.square(t - prediction).sum() / len(truth)
    for t, p in zip(truth, prediction, strict=True):
        observed += (t - p) ** 2
    assert quadratic_kappa(truth, prediction) == pytest.approx(1 - observed / expected)
    assert quadratic_kappa([0, 1, 2], [0, 1, 2]) == 1
    assert math.isnan(quadratic_kappa([1, 1], [1, 1]))


def test_bootstrap_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(lambda rows: values[rows].mean(), np.arange(400), seed=0, resamples=4000)
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.01)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)


def test_bootstrap_draws_whole_groups() -> None:
    groups = np.array(["b", "a", "b", "c", "a", "b"])
    wholes = {"a": [1, 4], "b": [0, 2, 5], "c": [3]}
    seen: list[list[int]] = []

    def statistic(rows: NDArray[np.int64]) -> float:
        seen.append(rows.tolist())
        return 0.0

    bootstrap_interval(statistic, groups, seed=0, resamples=200)
    for rows in seen:
        counts = {group: [rows.count(row) for row in members] for group, members in wholes.items()}
        assert all(len(set(each)) == 1 for each in counts.values())
        assert sum(each[0] for each in counts.values()) == 3
    assert len({tuple(rows) for rows in seen}) > 15


def test_groups_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=40), 10)
    alone = bootstrap_interval(lambda rows: values[rows].mean(), np.arange(400), seed=0)
    grouped = bootstrap_interval(lambda rows: values[rows].mean(), np.repeat(np.arange(40), 10), seed=0)
    assert (grouped[1] - grouped[0]) > 2.5 * (alone[1] - alone[0])


def test_bootstrap_is_keyed_and_leaves_nan_out() -> None:
    truth, score = np.array([1, 0, 0, 0]), np.array([0.9, 0.1, 0.2, 0.3])
    intervals = [bootstrap_interval(lambda r: auc(truth[r], score[r]), np.arange(4), seed=seed) for seed in (1, 1)]
    assert intervals[0] == intervals[1] == (1.0, 1.0)
    values = np.random.default_rng(0).normal(size=30)
    keyed = {bootstrap_interval(lambda r: values[r].mean(), np.arange(30), seed=seed) for seed in (1, 1, 2)}
    assert len(keyed) == 2
    assert np.isnan(bootstrap_interval(lambda _: math.nan, np.arange(4), seed=0)).all()
    assert np.isnan(bootstrap_interval(lambda _: 0.0, np.array([]), seed=0)).all()


def test_stratified_auc_against_counting_pairs() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth, score, stratum = rng.random(60) < 0.4, rng.integers(0, 8, 60), rng.integers(0, 3, 60)
        orders = [
            1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
            for i in range(60)
            for j in range(60)
            if truth[i] and not truth[j] and stratum[i] == stratum[j]
        ]
        assert stratified_auc(truth, score, stratum) == pytest.approx(np.mean(orders))
    assert np.isnan(stratified_auc([1, 0], [0.2, 0.1], ["a", "b"]))
