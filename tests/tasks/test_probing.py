"""Linear probes: scikit-learn's own answers, the choice by validation, and features that are computed once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from swcl_cli.data.augment import center_view
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.images import read_image
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.reporting.findings.recipes import differing, recipe
from swcl_cli.settings import FinetuneSettings, ReportSettings
from swcl_cli.settings.finetune import OF_TRAINING
from swcl_cli.settings.resolve import resolve
from swcl_cli.steps import finetune, report
from swcl_cli.tasks import probing
from swcl_cli.tasks.probing import STRENGTHS, logistic_regression, ridge_regression, sign_regressions
from swcl_cli.workspace import read_provenance, write_safetensors
from tests import prepared
from tests.folders import contents, read_log
from tests.light import LightEncoder, light, state
from tests.planted import IDRID, SPLITS, options, write_idrid

__all__ = ["light"]
CLASSES = {"dr_grade": 5, "dme_grade": 3}


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("present", [(0, 1), (1, 3), (0, 1, 2, 3), (0, 2, 3)])
def test_weights_give_scikit_learns_probabilities(present: tuple[int, ...]) -> None:
    """Of features of unequal scales, one of which is constant; a class that was never seen has none."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(present, 20))
    features = rng.normal(truth[:, None], 2, (len(truth), 5)) * [1, 100, 0.01, 0, 3] + [0, 50, 1, 7, 0]
    weight, bias = logistic_regression(features, truth, 4, 0.1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000)).fit(features, truth)
    found = softmax(features @ weight.T + bias)
    expected = np.zeros_like(found)
    expected[:, list(present)] = model.predict_proba(features)
    assert weight.shape == (4, 5) and bias.shape == (4,)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (found[:, [number for number in range(4) if number not in present]] == 0).all()


def test_numbers_are_those_of_scikit_learns_ridge_regression() -> None:
    """With the strength of a logistic regression: C / 2 times the squared errors and half the squared weights."""
    rng = np.random.default_rng(2)
    features = rng.normal(size=(60, 5)) * [1, 100, 0.01, 0, 3] + [0, 50, 1, 7, 0]
    numbers = 0.1 * features[:, 1] + rng.normal(size=60)
    weight, bias = ridge_regression(features, numbers, 0.05)
    model = make_pipeline(StandardScaler(), Ridge(alpha=20)).fit(features, numbers)
    assert weight.shape == (1, 5) and bias.shape == (1,)
    np.testing.assert_allclose((features @ weight.T + bias)[:, 0], model.predict(features), atol=1e-9)
    plain = StandardScaler().fit_transform(features)
    own = np.linalg.solve(plain.T @ plain + np.eye(5) / 0.05, plain.T @ (numbers - numbers.mean()))
    np.testing.assert_allclose(plain @ own + numbers.mean(), model.predict(features), atol=1e-9)


@pytest.mark.parametrize("balance", [False, True])
def test_rare_classes_weigh_as_scikit_learn_has_them(balance: bool) -> None:
    rng = np.random.default_rng(1)
    truth = rng.permutation(np.repeat((0, 1, 2), (70, 20, 10)))
    features = rng.normal(truth[:, None], 2, (100, 4))
    weight, bias = logistic_regression(features, truth, 3, 0.1, balance)
    chosen: Any = {"C": 0.1, "max_iter": 5000, "class_weight": "balanced" if balance else None}
    model = make_pipeline(StandardScaler(), LogisticRegression(**chosen)).fit(features, truth)
    np.testing.assert_allclose(softmax(features @ weight.T + bias), model.predict_proba(features), atol=1e-9)


def test_signs_are_fitted_one_by_one() -> None:
    """One that all photographs have, or none, has a probability of 1 or 0."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5)) * [1, 100, 0.01, 2, 3]
    truth = np.stack([features[:, 0] > 0.3, features[:, 1] > 50, np.ones(60), np.zeros(60)], axis=1).astype(np.int64)
    weight, bias = sign_regressions(features, truth, 4, 0.1)
    found = 1 / (1 + np.exp(-np.clip(features @ weight.T + bias, -500, 500)))
    for number in (0, 1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000)).fit(
            features, truth[:, number]
        )
        np.testing.assert_allclose(found[:, number], model.predict_proba(features)[:, 1], atol=1e-9)
    assert (found[:, 2] == 1).all() and found[:, 3] == pytest.approx(np.zeros(60))


def noisy(root: Path, count: int = 120) -> pd.DataFrame:
    """Red and green tell the grades, but not well: how strong the regularisation is makes a difference."""
    rng, rows = np.random.default_rng(3), []
    for item in range(count):
        grades = {name: int(rng.integers(0, classes)) for name, classes in CLASSES.items()}
        shade = np.array([60 + 25 * grades["dr_grade"], 60 + 40 * grades["dme_grade"], 90]) + rng.normal(0, 25, 3)
        image = (rng.normal(0, 40, (40, 44, 3)) + shade).clip(0, 255).astype(np.uint8)
        rows.append({"split": SPLITS[item % 5], "patient_id": f"{item}", "image": image, **grades})
    return prepared.write(root, "idrid", rows, size=40)


def by_hand(root: Path, table: pd.DataFrame) -> dict[float, dict[str, pd.DataFrame]]:
    """The probabilities of every photograph at each strength, from pixels on, by scikit-learn."""
    with keyed_weights(0, "light encoder"):
        encoder = LightEncoder().eval()
    views = [center_view(read_image(root / path), round(32 * 256 / 224), 32, MEAN, STD) for path in table["path"]]
    with torch.no_grad():
        features = encoder(torch.from_numpy(np.stack(views))).double().numpy()
    train = (table["split"] == "train").to_numpy()
    answers: dict[float, dict[str, pd.DataFrame]] = {}
    for strength in STRENGTHS:
        answers[strength] = {}
        for name in CLASSES:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))
            truth = table[name].to_numpy(dtype=np.int64)
            model.fit(features[train], truth[train])
            answers[strength][name] = pd.DataFrame(model.predict_proba(features), columns=model.classes_)
    return answers


@pytest.mark.usefixtures("light")
def test_the_regularisation_that_validates_best_predicts(tmp_path: Path) -> None:
    table = noisy(tmp_path)
    path = finetune.run(options(tmp_path, IDRID, probe=True))
    assert path.parent.name == "random-probe"
    validating, testing = (table["split"] == split for split in ("val", "test"))
    scores = {}
    answers = by_hand(tmp_path, table)
    for strength, by_head in answers.items():
        right, loss = np.ones(len(table), bool), 0.0
        for name, part in by_head.items():
            truth = table[name].to_numpy(dtype=np.int64)
            right &= part.to_numpy().argmax(axis=1) == [list(part.columns).index(grade) for grade in truth]
            true = np.array([part.loc[row, grade] for row, grade in enumerate(truth)])
            loss -= float(np.log(true[validating]).mean())
        scores[strength] = (float(right[validating].mean()), -loss)
    best = max(scores, key=lambda strength: scores[strength])
    assert STRENGTHS[0] < best < STRENGTHS[-1] and len({accuracy for accuracy, _ in scores.values()}) > 1
    made = read_provenance(path.parent / "seed0/model.safetensors")
    chosen, temperatures = made["validation"], made["model"]["temperatures"]
    assert chosen == {
        "best": pytest.approx(scores[best][0]), "best_loss": pytest.approx(-scores[best][1], rel=1e-4),
        "regularisation": best,
    }  # fmt: skip
    predictions = pd.read_parquet(path.with_name("predictions.parquet"))
    for name, part in answers[best].items():
        rows = predictions[predictions["head"] == name]
        assert rows["image_id"].tolist() == table.loc[testing, "image_id"].tolist()
        found = np.stack(rows["probabilities"].to_list())
        powers = part[testing].to_numpy() ** (1 / temperatures[name])  # calibrated (FACTS E16)
        expected = powers / powers.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found[:, list(part.columns)], expected, atol=1e-5)


@pytest.mark.usefixtures("light")
def test_each_run_of_random_weights_has_its_own(tmp_path: Path) -> None:
    write_idrid(tmp_path, 60)
    finetune.run(options(tmp_path, IDRID, probe=True, seeds=2))
    made = [state(tmp_path / f"finetune/idrid/random-probe/seed{seed}/model.safetensors") for seed in range(2)]
    assert not torch.equal(made[0]["encoder.linear.weight"], made[1]["encoder.linear.weight"])
    assert not torch.equal(made[0]["heads.heads.dr_grade.weight"], made[1]["heads.heads.dr_grade.weight"])


@pytest.mark.usefixtures("light")
def test_the_log_has_a_line_for_each_regularisation(tmp_path: Path) -> None:
    write_idrid(tmp_path, 40)
    finetune.run(options(tmp_path, IDRID, probe=True))
    log = pd.DataFrame(read_log(tmp_path / "runs/finetune/idrid/random-probe/seed0"))
    assert list(log.columns) == ["step", "regularisation", "validation", "validation_loss", "seconds"]
    assert log["step"].tolist() == list(range(6)) and tuple(log["regularisation"]) == STRENGTHS
    chosen = read_provenance(tmp_path / "finetune/idrid/random-probe/seed0/model.safetensors")["validation"]
    best = log[log["regularisation"] == chosen["regularisation"]].iloc[0]
    assert (best["validation"], best["validation_loss"]) == (chosen["best"], chosen["best_loss"])


class TestWhatATrainingHasAndAProbeDoesWithout:
    """Rates, epochs and losses."""

    @pytest.mark.usefixtures("light")
    def test_no_artefact_tells_it(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 40)
        path = finetune.run(options(tmp_path, IDRID, probe=True))
        for file in (path, path.parent / "seed0/model.safetensors"):
            told = read_provenance(file)["settings"]
            assert not OF_TRAINING & told.keys() and told["probe"] and told["crop"] == 32 and told["fit"] == "crop"
        finetune.run(options(tmp_path, IDRID, probe=True, epochs=3, learning_rate=1.0))  # as it is done already

    @pytest.mark.usefixtures("light")
    def test_an_older_probe_that_tells_it_stays_finished(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 40)
        settings = options(tmp_path, IDRID, probe=True)
        path = finetune.run(settings).parent / "seed0/model.safetensors"
        made = read_provenance(path)
        idle = {name: value for name, value in settings.model_dump(mode="json").items() if name in OF_TRAINING}
        write_safetensors(path, state(path), {**made, "settings": {**made["settings"], **idle}})
        before = path.read_bytes()
        finetune.run(settings)
        assert path.read_bytes() == before

    @pytest.mark.usefixtures("light")
    def test_a_training_is_no_probe(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 40)
        finetune.run(options(tmp_path, IDRID, probe=True, name="one"))
        with pytest.raises(SwclError, match=r"was made differently \(.*epochs: None -> 8;.* probe: True -> False;"):
            finetune.run(options(tmp_path, IDRID, name="one"))

    def test_it_is_refused_on_the_command_line_and_stays_unused_in_a_preset(self) -> None:
        given = {"task": "idrid", "probe": True}
        settings = resolve(FinetuneSettings, given, "modern").settings
        assert settings.layer_decay == 0.65 and "layer_decay" not in settings.defining()
        with pytest.raises(UsageError, match="^epochs and learning_rate: no part of --probe, which does without; l"):
            resolve(FinetuneSettings, {**given, "epochs": 3, "learning_rate": 0.1})

    def test_the_report_compares_a_probe_with_a_training_by_that_alone(self) -> None:
        probe, training = (
            recipe({"step": "finetune", "settings": FinetuneSettings(task="idrid", **given).defining()})
            for given in ({"probe": True}, {"epochs": 7, "learning_rate": 1.0})
        )
        assert differing([probe, training]) == ["probe"] and not OF_TRAINING & probe.keys()


@pytest.mark.usefixtures("light")
def test_the_encoder_stays_and_the_same_command_gives_the_same_bytes(tmp_path: Path) -> None:
    for root in (tmp_path / "one", tmp_path / "two"):
        write_idrid(root, 40)
        finetune.run(options(root, IDRID, probe=True, epochs=1))
    assert contents(tmp_path / "one/finetune") == contents(tmp_path / "two/finetune")
    with keyed_weights(0, "light encoder"):
        encoder = LightEncoder()
    made = state(tmp_path / "one/finetune/idrid/random-probe/seed0/model.safetensors")
    assert all(torch.equal(made[f"encoder.{key}"], tensor) for key, tensor in encoder.state_dict().items())
    before = contents(tmp_path / "one/finetune")
    finetune.run(options(tmp_path / "one", IDRID, probe=True, epochs=1))
    assert contents(tmp_path / "one/finetune") == before


@pytest.mark.usefixtures("light")
def test_the_report_knows_a_probe(tmp_path: Path) -> None:
    write_idrid(tmp_path, 40)
    finetune.run(options(tmp_path, IDRID, probe=True))
    page = report.run(ReportSettings(workspace=tmp_path)).read_text(encoding="utf-8")
    assert "random-probe" in page


def test_seeds_that_give_the_same_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of other random weights, or of other parts of the training photographs, do not."""
    write_idrid(tmp_path, 40)
    prepared.encoder(tmp_path / "swcl.safetensors")
    weights = {"init": "swcl.safetensors", "architecture": None}
    for chosen, told in ((weights, 1), ({**weights, "fraction": 0.5}, 0), ({}, 0)):
        path = finetune.run(options(tmp_path, IDRID, probe=True, seeds=2, **chosen))
        assert capsys.readouterr().out.count("--seeds 1 is enough") == told
        if told:
            first, second = (state(path.parent / f"seed{seed}/model.safetensors") for seed in range(2))
            assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.usefixtures("light")
def test_without_a_number_nothing_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idrid(tmp_path, 40)
    judge = probing.Probe.judge

    def nothing(*given: Any) -> Any:
        judgement = judge(*given)
        judgement.measures["joint_accuracy"] = float("nan")
        return judgement

    monkeypatch.setattr(probing.Probe, "judge", nothing)
    with pytest.raises(SwclError, match="No regularisation can be chosen: joint_accuracy on validation is not a num"):
        finetune.run(options(tmp_path, IDRID, probe=True))
