"""Measures of segmentations: by hand, against scikit-learn and plain loops, and at their edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score, recall_score, roc_auc_score

from swcl_cli.evaluation.pixel_measures import Outcomes, diameter_ratio, pixel_measures, ratio_error
from swcl_cli.evaluation.pixel_tally import Histograms, PixelTally
from swcl_cli.evaluation.resampling import evaluate

Mask = NDArray[np.bool_]


def image(text: str) -> Mask:
    return np.array([[character == "#" for character in row] for row in text.split()])


def counted(truths: Sequence[Mask], scores: Sequence[NDArray[np.float64]]) -> tuple[Histograms, float]:
    tally = PixelTally()
    for truth, score in zip(truths, scores, strict=True):
        tally.add(truth, score)
    return tally.histograms(), tally.auc()


def measured(truths: Sequence[Mask], scores: Sequence[NDArray[np.float64]]) -> dict[str, float]:
    return evaluate(pixel_measures({"vessel": counted(truths, scores)}), len(truths))[0]


TRUTHS = [image("##.. ...."), image("#... ....")]
SCORES = [np.where(image("#... ...."), 2.0, -1.0), np.where(image("##.. ##.."), 0.5, -2.0)]


def test_by_hand() -> None:
    found = measured(TRUTHS, SCORES)
    assert found["f1"] == pytest.approx((2 / 3 + 2 / 5) / 2)  # 1 hit of 2; 1 hit, 3 false
    assert found["f1_pooled"] == pytest.approx(2 * 2 / (3 + 5))
    assert found["sensitivity"] == pytest.approx(2 / 3)
    assert found["specificity"] == pytest.approx(10 / 13)
    pooled = [np.concatenate([part.ravel() for part in parts]) for parts in (TRUTHS, SCORES)]
    assert found["auc"] == pytest.approx(roc_auc_score(*pooled)) and len(found) == 5


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truths = list(rng.random((4, 30, 20)) < 0.3)
    scores = list(rng.normal(size=(4, 30, 20)) + np.array(truths))
    found = measured(truths, scores)
    truth, positive = np.array(truths).ravel(), np.array(scores).ravel() > 0
    assert found["f1"] == pytest.approx(
        np.mean([f1_score(t.ravel(), s.ravel() > 0) for t, s in zip(truths, scores, strict=True)])
    )
    assert found["f1_pooled"] == pytest.approx(f1_score(truth, positive))
    assert found["sensitivity"] == pytest.approx(recall_score(truth, positive))
    assert found["specificity"] == pytest.approx(recall_score(~truth, ~positive))
    assert found["auc"] == pytest.approx(roc_auc_score(truth, np.array(scores).ravel()), abs=1e-5)


def test_outcomes_against_loops() -> None:
    (histograms, _), expected = counted(TRUTHS, SCORES), []
    for truth, score in zip(TRUTHS, SCORES, strict=True):
        kinds = [(bool(t), bool(s > 0)) for t, s in zip(truth.flat, score.flat, strict=True)]
        expected.append([kinds.count(kind) for kind in ((True, True), (False, True), (True, False), (False, False))])
    outcomes = Outcomes.of(histograms)
    cells = (
        outcomes.true_positives,
        outcomes.false_positives,
        outcomes.false_negatives,
        outcomes.true_negatives,
    )
    np.testing.assert_array_equal(np.stack(cells, axis=1), expected)


def test_even_odds_are_background_as_for_argmax() -> None:
    assert measured([image("#.")], [np.array([[0.01, 0.0]])])["f1"] == 1


def test_one_false_pixel_where_there_is_nothing() -> None:
    found = measured([image("..")], [np.array([[0.5, -0.5]])])
    assert found["f1"] == found["f1_pooled"] == 0 and found["specificity"] == 0.5


def test_nothing_there_and_nothing_found_is_right() -> None:
    empty, full = image(".. .."), image("## ##")
    for truth, score, f1 in ((empty, -1.0, 1), (empty, 1.0, 0), (full, -1.0, 0), (full, 1.0, 1)):
        found = measured([truth], [np.full((2, 2), score)])
        assert found["f1"] == found["f1_pooled"] == f1


def test_several_structures() -> None:
    found = evaluate(
        pixel_measures({"disc": counted(TRUTHS, SCORES), "cup": counted(TRUTHS, [-score for score in SCORES])}), 2
    )[0]
    assert next(iter(found)) == "f1" and len(found) == 2 + 2 * 5
    for name in ("f1", "f1_pooled"):
        assert found[name] == pytest.approx((found[f"disc_{name}"] + found[f"cup_{name}"]) / 2)
    assert found["disc_f1"] == measured(TRUTHS, SCORES)["f1"] > found["cup_f1"]


def test_names_inside_the_field_of_view() -> None:
    assert set(pixel_measures({"vessel": counted(TRUTHS, SCORES)}, "_fov")) == {
        "f1_fov",
        "f1_pooled_fov",
        "auc_fov",
        "sensitivity_fov",
        "specificity_fov",
    }


@pytest.mark.parametrize(
    ("truth", "lost", "words"),
    [
        (".. ..", {"auc", "sensitivity"}, "no pixel is vessel"),
        ("## ##", {"auc", "specificity"}, "every pixel is vessel"),
    ],
)
def test_where_one_kind_of_pixel_is_absent_there_is_a_reason(truth: str, lost: set[str], words: str) -> None:
    found, reasons = evaluate(pixel_measures({"vessel": counted([image(truth)], [np.ones((2, 2))])}), 1)
    assert {name for name, value in found.items() if math.isnan(value)} == lost
    assert reasons == dict.fromkeys(lost, words)


def test_patients_left_out_change_the_measures_as_in_the_loop() -> None:
    """What intervals are made from: photographs that count or not."""
    rng = np.random.default_rng(1)
    truths = list(rng.random((9, 12, 10)) < 0.3)
    scores = list(rng.normal(size=(9, 12, 10)) + np.array(truths))
    measures = pixel_measures({"vessel": counted(truths, scores)})
    weights = (np.arange(9) // 2 != np.arange(5)[:, None]).astype(float)
    for name, statistic in (("auc", roc_auc_score), ("f1_pooled", lambda truth, score: f1_score(truth, score > 0))):
        expected = [
            statistic(np.array(truths)[rows].ravel(), np.array(scores)[rows].ravel()) for rows in weights.astype(bool)
        ]
        assert measures[name].of(weights) == pytest.approx(expected, abs=1e-3)


def test_diameters_by_hand() -> None:
    disc, cup = image(".##. #### #### .##."), image(".... .#.. .#.. ....")
    assert diameter_ratio(cup, disc) == 2 / 4
    assert diameter_ratio(disc, disc) == 1 and diameter_ratio(cup & ~cup, disc) == 0
    assert math.isnan(diameter_ratio(cup, disc & ~disc))


def test_error_of_ratios_leaves_out_what_has_no_true_one() -> None:
    found, reasons = evaluate({"error": ratio_error([0.5, math.nan, 0.25], [0.25, 0.5, 0.75], "disc")}, 3)
    assert found["error"] == pytest.approx(0.375) and not reasons
    assert ratio_error([0.5, math.nan], [1.75, 5], "disc").highest == 1.25
    lost, reasons = evaluate({"error": ratio_error([math.nan], [0.5], "disc")}, 1)
    assert math.isnan(lost["error"]) and reasons["error"] == "no mask holds any disc"
