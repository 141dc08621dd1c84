"""The joint classifier: its loss by hand, its views, and its measures against scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score, roc_auc_score
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from swcl_cli.catalogue.labels import Label
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data import manifest
from swcl_cli.data.augment import center_view, padded_view, squashed_view
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.class_measures import specific_threshold
from swcl_cli.losses.ordinal import corn
from swcl_cli.models.heads import JointHeads
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import KINDS, trial
from swcl_cli.tasks.class_labels import balanced, losses_of, once_a_patient
from swcl_cli.tasks.classification import TrainViews
from swcl_cli.tasks.classifier import JointClassifier
from swcl_cli.tasks.predictor import PreparedViews
from swcl_cli.tasks.saved import Study
from swcl_cli.tasks.temperatures import calibrated
from swcl_cli.tasks.trial import Trial
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace
from tests import prepared

FABRIC = make_fabric("cpu", "fp32")
SPLITS = ("train", "val", "test")
GRADES = [(0, 0), (4, 2), (2, 1), (0, 1), (3, 0), (0, 0), (2, 2), (0, 0), (4, 1), (1, 2), (0, 0), (3, 2)]


def write(root: Path) -> pd.DataFrame:
    rows = [
        {
            "split": SPLITS[item % 3],
            "dr_grade": dr,
            "dme_grade": dme,
            "image": prepared.photograph(item, 50, 40),
        }
        for item, (dr, dme) in enumerate(GRADES)
    ]
    return prepared.write(root, "idrid", rows, size=40)


def prepare(root: Path, seed: int = 0, task: Any = "idrid", splits: Any = None, **values: Any) -> Trial:
    settings = FinetuneSettings(workspace=root, task=task, crop=32, batch=3, workers=0, **values)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 6))
    encoder.num_features = 6  # type: ignore[assignment]
    workspace = Workspace(root)
    table = manifest.read(workspace.manifest(task))
    rows = splits or {split: table[table["split"] == split] for split in SPLITS}
    study = Study(TASKS[task], settings, workspace, rows)
    KINDS["classification"].require(study)
    return trial.prepare(study, Initial(encoder, "resnet18", MEAN, STD, None, "random", {}, ""), seed)


def test_loss_is_the_sum_over_heads() -> None:
    heads = JointHeads(4, {"a": 2, "b": 3})
    module = JointClassifier(nn.Identity(), heads)
    images = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    labels = {"a": torch.tensor([0, 1, 1, 0, 1]), "b": torch.tensor([2, 0, 1, 2, 2])}
    expected = 0.0
    for name, logits in heads(images).items():
        for row, truth in zip(logits.tolist(), labels[name].tolist(), strict=True):
            expected += (math.log(sum(math.exp(value) for value in row)) - row[truth]) / 5
    assert module({"image": images, "labels": labels})[0].item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_judged_probabilities_is_the_mean_over_photographs() -> None:
    """The training's loss again; a probability that fp32 rounds to 0 leaves it finite."""
    heads = JointHeads(4, {"a": 2, "b": 3})
    images = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    truths = {"a": np.array([0, 1, 1, 0, 1]), "b": np.array([2, 0, 1, 2, 2])}
    module = JointClassifier(nn.Identity(), heads)
    with torch.no_grad():
        scores = {name: part.numpy() for name, part in module.probabilities(images).items()}
        loss, _ = module({"image": images, "labels": {name: torch.from_numpy(part) for name, part in truths.items()}})
    assert losses_of(truths, scores) == pytest.approx(loss.item(), rel=1e-5)
    wrong = {"a": np.array([[1, 0], [0.5, 0.5]], np.float32)}
    assert losses_of({"a": np.array([1, 0])}, wrong) == pytest.approx((126 + 1) / 2 * math.log(2), rel=1e-6)


def test_views(tmp_path: Path) -> None:
    table = write(tmp_path)
    photographs = Photographs.of(Workspace(tmp_path), table)
    labels = {"dr_grade": table["dr_grade"].to_numpy(dtype=np.int64)}
    views = TrainViews(photographs, labels, 32, 0, (MEAN, STD))
    shown = views[(2, 5)]
    assert shown["image"].shape == (3, 32, 32) and shown["labels"] == {"dr_grade": int(table["dr_grade"].iloc[5])}
    np.testing.assert_array_equal(shown["image"], TrainViews(photographs, labels, 32, 0, (MEAN, STD))[(2, 5)]["image"])
    for other in (views[(3, 5)], views[(2, 4)], TrainViews(photographs, labels, 32, 1, (MEAN, STD))[(2, 5)]):
        assert not np.array_equal(shown["image"], other["image"])
    fixed = PreparedViews(photographs, replace(prepare(tmp_path).model, crop=35))[(0, 3)]
    np.testing.assert_array_equal(fixed.view, center_view(photographs.read(3), 40, 35))  # 35 x 256 / 224
    assert fixed.size == (50, 40)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, lambda image: center_view(image, 37, 32)),  # a model of before there was a choice
        ({"fit": "crop"}, lambda image: center_view(image, 37, 32)),
        ({"fit": "pad"}, lambda image: padded_view(image, 32)),
        ({"fit": "squash"}, lambda image: squashed_view(image, 32)),
    ],
)
def test_a_model_says_how_a_photograph_becomes_a_square(
    tmp_path: Path, said: dict[str, Any], expected: Callable[[Any], Any]
) -> None:
    photographs = Photographs.of(Workspace(tmp_path), write(tmp_path))
    model = replace(prepare(tmp_path).model, facts={"grades": {}, **said})
    np.testing.assert_array_equal(PreparedViews(photographs, model)[(0, 3)].view, expected(photographs.read(3)))
    chosen = FinetuneSettings(workspace=tmp_path, task="idrid", **said)
    assert KINDS["classification"].facts(TASKS["idrid"], chosen)["fit"] == said.get("fit", "crop")


def test_the_loss_of_numbers() -> None:
    """The mean squared error on the training's scale of those that are known; beside the cross-entropy of others."""
    heads = JointHeads(4, {"age": 1, "b": 3})
    module = JointClassifier(nn.Identity(), heads, (), {"age": {"mean": 50.0, "sd": 20.0, "least": 10.0, "most": 60.0}})
    images = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)) * 10
    ages = [30.0, math.nan, 61.5, math.nan, 80.0]
    labels = {"age": torch.tensor(ages), "b": torch.tensor([2, 0, 1, 2, 2])}
    logits = {name: part.tolist() for name, part in heads(images).items()}
    known = [item for item, age in enumerate(ages) if not math.isnan(age)]
    squared = sum((logits["age"][item][0] - (ages[item] - 50) / 20) ** 2 for item in known) / len(known)
    entropy = sum(
        math.log(sum(math.exp(value) for value in row)) - row[truth]
        for row, truth in zip(logits["b"], labels["b"].tolist(), strict=True)
    )
    loss, _ = module({"image": images, "labels": labels})
    assert loss.item() == pytest.approx(squared + entropy / 5, rel=1e-5)
    answers = module.probabilities(images)["age"][:, 0].tolist()
    assert answers == pytest.approx([min(max(50 + 20 * row[0], 10), 60) for row in logits["age"]], rel=1e-5)
    assert min(answers) == 10 and max(answers) == 60
    none, _ = module({"image": images, "labels": {**labels, "age": torch.full((5,), math.nan)}})
    none.backward()
    assert none.item() == pytest.approx(entropy / 5, rel=1e-5)
    assert all(part.grad is not None and torch.isfinite(part.grad).all() for part in heads.parameters())


@pytest.mark.parametrize("several", [(), ("a",)])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_finished_network_is_calibrated_as_it_was_judged(several: tuple[str, ...], temperature: float) -> None:
    """Saturated probabilities too: what predict says is what predictions.parquet holds."""
    heads = JointHeads(4, {"a": 3})
    images = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 40
    judged = JointClassifier(nn.Identity(), heads, several).probabilities(images)["a"].detach().numpy()
    finished = JointClassifier(nn.Identity(), heads, several, {}, (), {"a": temperature})
    found = finished.probabilities(images)["a"].detach().numpy()
    np.testing.assert_array_equal(found, calibrated({"a": judged}, {"a": temperature}, several)["a"])
    assert (judged > 0.99999).any()


def test_the_loss_of_judged_numbers() -> None:
    scales = {"age": {"mean": 50.0, "sd": 20.0, "least": 0.0, "most": 99.0}}
    truths = {"age": np.array([30.0, math.nan, 61.5]), "b": np.array([0, 1, 0])}
    scores = {"age": np.array([[40.0], [1.0], [61.5]], np.float32), "b": np.full((3, 2), 0.5, np.float32)}
    assert losses_of(truths, scores, scales) == pytest.approx(0.25 / 3 + math.log(2), rel=1e-6)


def test_numbers_of_patients_are_averaged_for_each_visit() -> None:
    """Of a patient with two ages each is scored by the photographs that have it; nobody knows the last one's."""
    task = replace(TASKS["idrid"], heads={"age": 1})
    rows = pd.DataFrame({"patient_id": ["a", "b", "a", "a", "b", "c"]})
    truths = {"age": np.array([50.0, 70, 50, 53, 70, math.nan])}
    scores = {"age": np.array([[40], [60], [50], [56], [64], [1]], np.float32)}
    ages, answers = once_a_patient(task, rows, truths, scores)
    np.testing.assert_array_equal(ages["age"], [50, 70, math.nan, 53, math.nan, math.nan])
    assert answers["age"][[0, 1, 3], 0].tolist() == [45, 62, 56]


def test_public_grades_by_their_order(tmp_path: Path) -> None:
    write(tmp_path)
    made = prepare(tmp_path, loss="corn")
    assert {key: tensor.shape[0] for key, tensor in made.network.state_dict().items() if key.endswith("weight")} == {
        "encoder.2.weight": 6, "heads.heads.dr_grade.weight": 4, "heads.heads.dme_grade.weight": 2,
    }  # fmt: skip
    assert made.model.heads == {"dr_grade": 5, "dme_grade": 3} and made.model.facts["corn"] == ["dr_grade", "dme_grade"]
    judged = made.judge(FABRIC, "test", tmp_path)
    assert [len(each) for each in judged.predictions["probabilities"]] == [5] * 4 + [3] * 4
    items = [made.dataset[(0, item)] for item in range(4)]
    batch = {"image": torch.stack([torch.from_numpy(item["image"]) for item in items])}
    labels = {head: torch.tensor([item["labels"][head] for item in items]) for head in made.model.heads}
    logits = made.network.get_submodule("heads")(made.network.get_submodule("encoder")(batch["image"]))
    loss, _ = made.objective({**batch, "labels": labels})
    assert loss.item() == pytest.approx(sum(corn(logits[head], labels[head]).item() for head in labels), rel=1e-5)


def test_splits_and_plan(tmp_path: Path) -> None:
    table = write(tmp_path)
    made = prepare(tmp_path)
    assert made.images == {"train": 4, "val": 4, "test": 4} and made.steps_per_epoch == 2
    assert [len(made.plan(step)[0]) for step in range(2)] == [3, 1]
    dataset: Any = made.dataset
    assert dataset.photographs.path.to_pylist() == table["path"][table["split"] == "train"].tolist()


def test_patients_who_share_a_photograph_are_one_in_an_interval(tmp_path: Path) -> None:
    """Of one group alone there is none, whatever the patients are called."""
    table = write(tmp_path).assign(group_id="all")
    made = prepare(tmp_path, splits={split: table[table["split"] == split] for split in SPLITS})
    found = made.judge(FABRIC, "test", tmp_path)
    assert found.measures and not found.intervals


def test_measures_against_scikit_learn(tmp_path: Path) -> None:
    table = write(tmp_path)
    made = prepare(tmp_path)
    judged = made.judge(FABRIC, "test", tmp_path)
    rows = judged.predictions
    test = table[table["split"] == "test"].set_index("image_id")
    right = []
    for head, part in rows.groupby("head"):
        assert part["truth"].tolist() == test.loc[part["image_id"], head].tolist()
        scores = np.stack(part["probabilities"].to_list())
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
        assert part["prediction"].tolist() == scores.argmax(axis=1).tolist()
        truth, prediction = part["truth"].to_numpy(), part["prediction"].to_numpy()
        assert judged.measures[f"{head}_accuracy"] == accuracy_score(truth, prediction)
        kappa = cohen_kappa_score(truth, prediction, labels=range(scores.shape[1]), weights="quadratic")
        assert judged.measures[f"{head}_kappa"] == pytest.approx(kappa, nan_ok=True)
        assert judged.measures[f"{head}_auc"] == pytest.approx(roc_auc_score(truth > 0, 1 - scores[:, 0]))
        right.append(truth == prediction)
    assert judged.measures["joint_accuracy"] == np.logical_and(*right).mean()
    for name, value in judged.measures.items():
        of_the_healthy = name.endswith(("_auc", "_specificity", "_specificity_at_90"))  # of whom there is one
        without = not np.isfinite(value) or name.endswith("threshold_at_90") or of_the_healthy
        assert (name in judged.intervals) == (not without), name
        low, high = judged.intervals.get(name, (value, value))
        assert not low > value and not value > high
    assert judged.reasons.keys() == {name for name, value in judged.measures.items() if np.isnan(value)}


def test_validation_is_judged_without_files(tmp_path: Path) -> None:
    write(tmp_path)
    judged = prepare(tmp_path).judge(FABRIC, "val", None)
    assert not judged.intervals and judged.predictions.empty and 0 <= judged.measures["joint_accuracy"] <= 1
    assert not [name for name in judged.measures if name.endswith("_at_90")]


def test_the_threshold_is_chosen_on_validation(tmp_path: Path) -> None:
    write(tmp_path)
    made = prepare(tmp_path)
    on_val, on_test = (made.judge(FABRIC, split, tmp_path) for split in ("val", "test"))
    for head in ("dr_grade", "dme_grade"):
        rows = on_val.predictions[on_val.predictions["head"] == head]
        score = 1 - np.stack(rows["probabilities"].to_list())[:, 0]
        expected = specific_threshold(rows["truth"] > 0, score)
        for judged in (on_val, on_test):
            assert judged.measures[f"{head}_threshold_at_90"] == pytest.approx(expected)
        assert on_val.measures[f"{head}_specificity_at_90"] >= 0.9


def test_splits_that_are_given_replace_those_of_the_manifest(tmp_path: Path) -> None:
    table = write(tmp_path)
    given = {"train": table.iloc[:5].reset_index(drop=True), "val": table.iloc[5:].reset_index(drop=True)}
    made = prepare(tmp_path, splits=given)
    assert made.images == {"train": 5, "val": 7}
    dataset: Any = made.dataset
    assert dataset.photographs.path.to_pylist() == table["path"].iloc[:5].tolist()
    judged = made.judge(FABRIC, "val", tmp_path)
    assert set(judged.predictions["image_id"]) == set(table["image_id"].iloc[5:])


def test_grades_become_the_classes_of_the_task(tmp_path: Path) -> None:
    """Messidor's grades 0 and 1 against 2 and 3."""
    rows = [
        {
            "split": SPLITS[item % 3],
            "dr_grade": item % 4,
            "dme_grade": item // 3 % 3,
            "image": prepared.photograph(item),
        }
        for item in range(12)
    ]
    table = prepared.write(tmp_path, "messidor", rows)
    made = prepare(tmp_path, task="messidor")
    dataset: Any = made.dataset
    assert dataset.labels["dr_grade"].tolist() == [0, 1, 1, 0] and dataset.labels["dme_grade"].tolist() == [0, 1, 2, 0]
    judged = made.judge(FABRIC, "test", tmp_path)
    probabilities = judged.predictions.groupby("head")["probabilities"].first()
    assert (len(probabilities["dr_grade"]), len(probabilities["dme_grade"])) == (2, 3)
    prepared.change(tmp_path, "messidor", dr_grade=table["dr_grade"].mask(table["image_id"] == "0", 4))
    with pytest.raises(SwclError, match="0 has dr_grade = 4; messidor needs 0 to 3"):
        prepare(tmp_path, task="messidor")


def test_one_binary_head(tmp_path: Path) -> None:
    rows = [
        {"split": SPLITS[item % 3], "glaucoma": item % 2 == 0, "image": prepared.photograph(item)} for item in range(12)
    ]
    prepared.write(tmp_path, "refuge-cls", rows)
    judged = prepare(tmp_path, task="refuge-cls").judge(FABRIC, "test", tmp_path)
    part = judged.predictions
    scores = np.stack(part["probabilities"].to_list())
    assert set(part["head"]) == {"glaucoma"} and part["truth"].tolist() == [0, 1, 0, 1]
    assert judged.measures["auc"] == pytest.approx(roc_auc_score(part["truth"], scores[:, 1]))
    assert "auc" in judged.intervals
    prepared.change(tmp_path, "refuge-cls", glaucoma=None)
    with pytest.raises(SwclError, match="0 has glaucoma = <NA>; refuge-cls needs 0 to 1"):
        prepare(tmp_path, task="refuge-cls")


def test_heads_are_functions_of_the_seed(tmp_path: Path) -> None:
    write(tmp_path)
    weights = [prepare(tmp_path, seed).network.get_parameter("heads.heads.dr_grade.weight") for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(("grade", "shown"), [(5, "5"), (-1, "-1"), (None, "<NA>")])
def test_labels_outside_the_range_are_named(tmp_path: Path, grade: int | None, shown: str) -> None:
    table = write(tmp_path)
    grades = table["dr_grade"].mask(table["image_id"] == "7", grade)
    prepared.change(tmp_path, "idrid", dr_grade=grades)
    told = f"(: 7 has dr_grade = {shown}; idrid needs|.*column dr_grade holds other numbers than those from) 0 to 4"
    with pytest.raises(SwclError, match=rf"manifest.parquet{told}.*swcl prep idrid"):
        prepare(tmp_path)


def test_labels_that_are_not_known_carry_no_loss() -> None:
    """A head's loss is the mean over those that are; of a batch without any it is 0, and so is its gradient."""
    heads = JointHeads(4, {"a": 2, "b": 3})
    module = JointClassifier(nn.Identity(), heads)
    images = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    labels = {"a": torch.tensor([0, -1, 1, -1, 1]), "b": torch.tensor([2, 0, 1, 2, -1])}
    expected = 0.0
    for name, logits in heads(images).items():
        known = [(row, truth) for row, truth in zip(logits.tolist(), labels[name].tolist(), strict=True) if truth >= 0]
        for row, truth in known:
            expected += (math.log(sum(math.exp(value) for value in row)) - row[truth]) / len(known)
    assert module({"image": images, "labels": labels})[0].item() == pytest.approx(expected, rel=1e-5)
    loss, _ = module({"image": images, "labels": {"a": torch.full((5,), -1), "b": labels["b"]}})
    loss.backward()
    first, second = (heads.of(name).weight.grad for name in "ab")
    assert first is not None and not first.any()
    assert torch.isfinite(loss) and second is not None and second.any()


def test_the_loss_of_judged_probabilities_leaves_out_what_is_not_known() -> None:
    scores = {"a": np.array([[0.5, 0.5], [0.25, 0.75]], np.float32), "b": np.array([[0.5, 0.5], [1, 0]], np.float32)}
    truths = {"a": np.array([-1, 0]), "b": np.array([1, -1])}
    assert losses_of(truths, scores) == pytest.approx((math.log(2) + math.log(4)) / 2, rel=1e-6)


def test_the_loss_of_several_at_once_by_loops() -> None:
    """The mean over photographs and signs of the binary cross-entropy, of those that are known."""
    heads = JointHeads(4, {"a": 2, "signs": 3})
    module = JointClassifier(nn.Identity(), heads, ["signs"])
    images = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    signs = torch.tensor([[1, 0, 1], [-1, -1, -1], [0, 0, 0], [1, 1, 0]])
    labels = {"a": torch.full((4,), -1), "signs": signs}
    logits, expected = heads(images)["signs"].tolist(), []
    for row, truth in zip(logits, signs.tolist(), strict=True):
        expected += [math.log(1 + math.exp(-z if t else z)) for z, t in zip(row, truth, strict=True) if t >= 0]
    loss, _ = module({"image": images, "labels": labels})
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    with torch.no_grad():
        scores = {name: part.numpy() for name, part in module.probabilities(images).items()}
    np.testing.assert_allclose(scores["signs"], 1 / (1 + np.exp(-np.array(logits))), rtol=1e-5)
    of_judged = losses_of({"signs": signs.numpy()}, {"signs": scores["signs"]})
    assert of_judged == pytest.approx(np.sum(expected) / 3 / 4, rel=1e-5)  # a mean over all photographs


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_classes_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice([-1, 0, 1, 3], 60, p=[0.2, 0.5, 0.2, 0.1])
    found = balanced(labels, 5)
    there = labels[labels >= 0]
    expected = dict(
        zip(np.unique(there), compute_class_weight("balanced", classes=np.unique(there), y=there), strict=True)
    )
    assert found.tolist() == pytest.approx([expected.get(number, 1) for number in range(5)], rel=1e-6)


def test_weights_of_signs_by_hand() -> None:
    """One of four has the first, three the second, all the third, and nobody the last; a fifth is not known."""
    signs = np.array([[1, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [-1, -1, -1, -1]])
    assert balanced(signs, 4).tolist() == pytest.approx([3, 1 / 3, 1, 1])


def test_a_balanced_loss_by_loops() -> None:
    heads = JointHeads(4, {"a": 3, "signs": 2})
    module = JointClassifier(nn.Identity(), heads, ["signs"])
    module.weights = {"a": torch.tensor([0.5, 2.0, 1.0]), "signs": torch.tensor([3.0, 1.0])}
    images = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    labels = {"a": torch.tensor([0, 1, -1, 1]), "signs": torch.tensor([[1, 0], [0, 0], [-1, -1], [0, 1]])}
    logits = {name: part.tolist() for name, part in heads(images).items()}
    total = weighed = 0.0
    for row, truth in zip(logits["a"], labels["a"].tolist(), strict=True):
        if truth >= 0:
            weight = [0.5, 2.0, 1.0][truth]
            weighed += weight
            total += weight * (math.log(sum(map(math.exp, row))) - row[truth])
    signs = []
    for row, truth in zip(logits["signs"], labels["signs"].tolist(), strict=True):
        for number, (z, there) in enumerate(zip(row, truth, strict=True)):
            if there >= 0:
                signs.append((3.0, 1.0)[number] * math.log(1 + math.exp(-z)) if there else math.log(1 + math.exp(z)))
    loss, _ = module({"image": images, "labels": labels})
    assert loss.item() == pytest.approx(total / weighed + float(np.mean(signs)), rel=1e-5)


def test_the_training_rows_give_the_weights(tmp_path: Path) -> None:
    write(tmp_path)
    trained: Any = prepare(tmp_path, balance=True).objective
    grades = manifest.read(Workspace(tmp_path).manifest("idrid"))
    train = grades.loc[grades["split"] == "train", "dr_grade"].to_numpy(dtype=np.int64)
    assert trained.weights["dr_grade"].tolist() == pytest.approx(balanced(train, 5).tolist())
    plain: Any = prepare(tmp_path).objective
    assert plain.weights == {}


def test_labels_of_patients_are_scored_once_a_patient() -> None:
    """The means of all photographs of a patient, at the first of them; other heads stay as they are."""
    own = {
        "outcome": Label("outcome", "classes", "outcome", of="patient", names=("well", "ill")),
        "signs": Label("signs", "several", "signs", of="patient", names=("a", "b")),
        "eyes": Label("eyes", "classes", "eyes", names=("x", "y")),
    }
    task = replace(TASKS["folder"], heads=dict.fromkeys(own, 2), own=own)
    patients = ["p", "q", "p", "r", "q"]
    scores = {head: np.random.default_rng(0).random((5, 2)).astype(np.float32) for head in own}
    truths = {
        "outcome": np.array([1, 0, 1, -1, 0]),
        "signs": np.array([[1, 0], [0, 0], [1, 0], [1, 1], [0, 0]]),
        "eyes": np.array([0, 1, 1, 0, 1]),
    }
    before = {head: part.copy() for head, part in scores.items()}
    found, means = once_a_patient(task, pd.DataFrame({"patient_id": patients}), truths, scores)
    assert found["outcome"].tolist() == [1, 0, -1, -1, -1] and found["eyes"].tolist() == [0, 1, 1, 0, 1]
    assert found["signs"].tolist() == [[1, 0], [0, 0], [-1, -1], [1, 1], [-1, -1]]
    for head in ("outcome", "signs"):
        for item, patient in enumerate(patients):
            rows = [before[head][other] for other, name in enumerate(patients) if name == patient]
            np.testing.assert_allclose(means[head][item], np.mean(rows, axis=0), rtol=1e-6)
    assert np.array_equal(means["eyes"], before["eyes"])
    assert all(np.array_equal(scores[head], before[head]) for head in own)
