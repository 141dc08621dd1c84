"""Measures of graded photographs: against scikit-learn, by hand, and where a class is absent."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    recall_score,
    roc_auc_score,
)

from swcl_cli.catalogue.labels import Label
from swcl_cli.evaluation.class_measures import any_grade, class_measures, specific_threshold
from swcl_cli.evaluation.intervals import intervals
from swcl_cli.evaluation.resampling import evaluate

GRADES = {"dr_grade": 5, "dme_grade": 3}


def graded(seed: int, count: int = 80) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(seed)
    truths = {head: rng.integers(0, classes, count) for head, classes in GRADES.items()}
    scores = {head: rng.dirichlet(np.ones(classes), count) for head, classes in GRADES.items()}
    return truths, scores


def values(*given: Any) -> dict[str, float]:
    truths = next(iter(given[0].values()))
    return evaluate(class_measures(*given), len(truths))[0]


@pytest.mark.parametrize("seed", range(3))
def test_against_scikit_learn(seed: int) -> None:
    truths, scores = graded(seed)
    found = values(truths, scores, {"dr_grade": 0.7, "dme_grade": 0.8})
    right = []
    for head, truth in truths.items():
        answer, ill, score = scores[head].argmax(axis=1), truth > 0, 1 - scores[head][:, 0]
        right.append(truth == answer)
        assert found[f"{head}_accuracy"] == pytest.approx(accuracy_score(truth, answer))
        assert found[f"{head}_kappa"] == pytest.approx(cohen_kappa_score(truth, answer, weights="quadratic"))
        assert found[f"{head}_auc"] == pytest.approx(roc_auc_score(ill, score))
        for suffix, positive in (("", answer > 0), ("_at_90", score > found[f"{head}_threshold_at_90"])):
            assert found[f"{head}_sensitivity{suffix}"] == pytest.approx(recall_score(ill, positive))
            assert found[f"{head}_specificity{suffix}"] == pytest.approx(recall_score(~ill, ~positive))
    assert found["joint_accuracy"] == pytest.approx(np.logical_and(*right).mean())
    assert next(iter(found)) == "joint_accuracy" and len(found) == 1 + 2 * 8


def test_two_classes_by_hand() -> None:
    """One head bears no name; at 0.5 one of two ill and one of three others are found."""
    truth = {"glaucoma": np.array([1, 1, 0, 0, 0])}
    ill = np.array([0.9, 0.4, 0.6, 0.3, 0.1])
    found = values(truth, {"glaucoma": np.stack([1 - ill, ill], axis=1)}, {"glaucoma": 0.35})
    assert found["auc"] == pytest.approx(5 / 6) and found["accuracy"] == pytest.approx(3 / 5)
    assert (found["sensitivity"], found["specificity"]) == pytest.approx((1 / 2, 2 / 3))
    assert (found["sensitivity_at_90"], found["specificity_at_90"]) == pytest.approx((1, 2 / 3))
    assert found["threshold_at_90"] == 0.35 and "joint_accuracy" not in found


def test_without_a_threshold_there_are_no_measures_at_it() -> None:
    assert not [name for name in class_measures(*graded(0)) if name.endswith("_at_90")]


@pytest.mark.parametrize(("count", "above"), [(10, 1), (11, 1), (19, 1), (20, 2), (1, 0), (5, 0)])
def test_at_most_a_tenth_of_the_negatives_lies_above_the_threshold(count: int, above: int) -> None:
    score = np.random.default_rng(count).permutation(count) / count
    truth = np.concatenate([np.zeros(count), np.ones(3)])
    threshold = specific_threshold(truth, np.concatenate([score, [0.0, 0.5, 1.0]]))
    assert (score > threshold).sum() == above
    lower = score[score < threshold]
    assert not len(lower) or (score > lower.max()).mean() > 0.1


def test_a_threshold_needs_negatives() -> None:
    assert math.isnan(specific_threshold([1, 1], [0.2, 0.4]))
    assert specific_threshold([0, 0, 0], [0.5, 0.5, 0.5]) == 0.5


@pytest.mark.parametrize(
    ("grades", "numbers", "words"),
    [
        ([0, 0, 0], {"accuracy", "specificity"}, "no photograph has grade above 0"),
        ([1, 2, 1], {"accuracy", "sensitivity", "kappa"}, "no photograph has grade 0"),
    ],
)
def test_where_a_class_is_absent_there_is_a_reason(grades: list[int], numbers: set[str], words: str) -> None:
    truth = np.array(grades)
    scores: NDArray[np.float64] = np.eye(3)[[0, 0, 0] if not truth.any() else [1, 1, 0]]
    found, reasons = evaluate(class_measures({"grade": truth}, {"grade": scores}, {"grade": 0.5}), 3)
    numbers = numbers | {f"{name}_at_90" for name in numbers & {"sensitivity", "specificity"}} | {"threshold_at_90"}
    assert {name for name, value in found.items() if not math.isnan(value)} == numbers
    same = {"kappa": "grade is the same in all, labels and answers"}
    assert reasons == {name: same.get(name, words) for name in found.keys() - numbers}


def test_a_threshold_that_could_not_be_chosen_has_a_reason() -> None:
    truth, scores = {"grade": np.array([0, 1])}, {"grade": np.array([[0.8, 0.2], [0.3, 0.7]])}
    found, reasons = evaluate(class_measures(truth, scores, {"grade": math.nan}), 2)
    assert reasons.keys() == {"sensitivity_at_90", "specificity_at_90", "threshold_at_90"}
    assert set(reasons.values()) == {"no photograph of val has grade 0, so that no threshold can be chosen there"}
    assert found["sensitivity"] == found["specificity"] == 1


def test_any_grade_is_all_but_the_first() -> None:
    np.testing.assert_allclose(any_grade(np.array([[0.5, 0.2, 0.3], [1, 0, 0]])), [0.5, 0])


def test_any_grade_adds_in_double_precision() -> None:
    """A network's probabilities are of single precision, whose sums round: ties would come and go."""
    probabilities = np.array([[0.7, 0.1, 0.2], [0.1, 0.6, 0.3]], np.float32)
    assert any_grade(probabilities).tolist() == [float(row[1]) + float(row[2]) for row in probabilities]


def test_a_score_at_the_threshold_is_not_above_it() -> None:
    """As in choosing it: a tenth of the negatives, at most, lie above."""
    truth, ill = {"glaucoma": np.array([1, 1, 0, 0])}, np.array([0.5, 0.75, 0.5, 0.25])
    found = values(truth, {"glaucoma": np.stack([1 - ill, ill], axis=1)}, {"glaucoma": 0.5})
    assert (found["sensitivity_at_90"], found["specificity_at_90"]) == (0.5, 1)


def test_a_threshold_is_fixed_and_has_no_interval() -> None:
    truth, ill = {"glaucoma": np.array([1, 1, 0, 0])}, np.array([0.5, 0.75, 0.5, 0.25])
    measures = class_measures(truth, {"glaucoma": np.stack([1 - ill, ill], axis=1)}, {"glaucoma": 0.5})
    assert [name for name, measure in measures.items() if not measure.resampled] == ["threshold_at_90"]


def test_who_stands_behind_a_measure() -> None:
    """Intervals ask: the ill for the sensitivity, the well for the specificity, both for the AUC; kappa reaches -1."""
    truth, ill = np.array([2, 1, 0, 0, 0]), [True, True, False, False, False]
    measures = class_measures({"grade": truth}, {"grade": np.eye(3)[truth]}, {"grade": 0.5})
    well = [not each for each in ill]
    expected = {"auc": [ill, well], "sensitivity": [ill], "specificity": [well], "accuracy": [], "kappa": []}
    for name, rows in expected.items():
        assert [part.tolist() for part in measures[name].parts] == rows
        assert measures[name].of_pairs == (name == "auc")
        assert (measures[name].lowest, measures[name].highest) == (-1 if name == "kappa" else 0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_classes_without_an_order_against_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, scores = rng.integers(0, 4, 60), rng.dirichlet(np.ones(4), 60)
    answer = scores.argmax(axis=1)
    found = values({"x": truth}, {"x": scores}, {"x": 0.5}, {"x": Label("x", "classes", "x", names=tuple("abcd"))})
    assert found == pytest.approx(
        {
            "auc": roc_auc_score(truth, scores, multi_class="ovr", average="macro"),
            "accuracy": accuracy_score(truth, answer),
            "balanced_accuracy": balanced_accuracy_score(truth, answer),
            "f1": f1_score(truth, answer, average="macro"),
            "kappa": cohen_kappa_score(truth, answer),
        }
    )


def test_classes_that_do_not_occur_have_no_say() -> None:
    """Of three classes the last is never true, and never said: the others' means are those of two."""
    truth = np.array([0, 0, 1, 1, 1])
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.45, 0.5, 0.05], [0.7, 0.2, 0.1]])
    found = values({"x": truth}, {"x": scores}, None, {"x": Label("x", "classes", "x", names=("a", "b", "c"))})
    recalls = (1 / 2, 2 / 3)
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert found["f1"] == pytest.approx(np.mean([2 / (2 + 1 + 1), 4 / (4 + 1 + 1)]))
    assert found["auc"] == pytest.approx(np.mean([roc_auc_score(truth == k, scores[:, k]) for k in (0, 1)]))


def test_labels_that_are_not_known_count_for_their_head_alone() -> None:
    truths, scores = graded(5)
    truths["dr_grade"][:30] = -1
    truths["dme_grade"][70:] = -1
    thresholds, found = {"dr_grade": 0.7, "dme_grade": 0.8}, dict[str, float]()
    for head, rows in (("dr_grade", slice(30, None)), ("dme_grade", slice(0, 70))):
        alone = values({head: truths[head][rows]}, {head: scores[head][rows]}, thresholds)
        found |= {f"{head}_{name}": value for name, value in alone.items()}
    right = [truths[head] == scores[head].argmax(axis=1) for head in GRADES]
    found["joint_accuracy"] = np.logical_and(*right)[30:70].mean()
    assert values(truths, scores, thresholds) == pytest.approx(found)


def test_intervals_of_a_head_are_those_of_its_own_rows() -> None:
    """But for the jackknife's factor (n - 1) / n, in which all patients count."""
    truths, scores = graded(7)
    truths["dr_grade"][:30] = -1
    groups = np.arange(80) // 2
    whole = intervals(class_measures(truths, scores), groups)
    for name, expected in intervals(
        class_measures({"dr_grade": truths["dr_grade"][30:]}, {"dr_grade": scores["dr_grade"][30:]}), groups[30:]
    ).items():
        assert whole[f"dr_grade_{name}"] == pytest.approx(expected, abs=0.003)
    assert not set(evaluate(class_measures(truths, scores), 80)[1])


def test_reasons_name_the_classes() -> None:
    label = Label("x", "classes", "x", names=("healthy", "AMD"))
    measures = class_measures({"x": np.zeros(3, int)}, {"x": np.eye(2)[[0, 0, 1]]}, None, {"x": label})
    assert set(evaluate(measures, 3)[1].values()) == {"no photograph has x but 'healthy'"}


def test_several_at_once_beside_another_head() -> None:
    """Measures of signs keep their names; the mean is of what is primary for each head."""
    truths, scores = graded(3)
    rng = np.random.default_rng(3)
    truths["signs"], scores["signs"] = rng.integers(0, 2, (80, 3)), rng.random((80, 3))
    truths["signs"][:10] = -1
    own = {"signs": Label("signs", "several", "signs", names=("a", "b", "c"))}
    thresholds = {"dr_grade": 0.7, "dme_grade": 0.8, "signs": np.array([0.5, 0.4, 0.6])}
    found = values(truths, scores, thresholds, own)
    aucs = [roc_auc_score(truths["signs"][10:, k], scores["signs"][10:, k]) for k in range(3)]
    assert [found[f"signs: {name}_auc"] for name in "abc"] == pytest.approx(aucs)
    assert found["signs_auc"] == pytest.approx(np.mean(aucs))
    firsts = (found["dr_grade_accuracy"], found["dme_grade_accuracy"], found["signs_auc"])
    assert found["mean"] == pytest.approx(np.mean(firsts)) and next(iter(found)) == "mean"
    assert "joint_accuracy" not in found
    alone = values({"signs": truths["signs"]}, {"signs": scores["signs"]}, thresholds, own)
    assert alone["auc"] == pytest.approx(np.mean(aucs)) and {"average_precision", "f1", "signs: a_f1"} <= alone.keys()
