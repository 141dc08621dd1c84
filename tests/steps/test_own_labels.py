"""Labels of any name, from people's own tables and folders to models, tables, predictions and the report."""

from __future__ import annotations

import csv
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, cohen_kappa_score, roc_auc_score

from swcl_cli.catalogue.labels import Label
from swcl_cli.chance import generator
from swcl_cli.data import manifest
from swcl_cli.datasets import folder
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.evaluation.metrics import reliability
from swcl_cli.settings import FinetuneSettings, PredictSettings, ReportSettings
from swcl_cli.steps import finetune, predict, prep, report
from swcl_cli.tasks.predictor import Predictor, load_model
from swcl_cli.workspace import Workspace, read_provenance
from tests import prep_runs
from tests.commands import swcl
from tests.folders import contents
from tests.light import light

__all__ = ["light"]
COLOURS = {"healthy": (150, 60, 40), "AMD": (60, 150, 40), "DR": (60, 60, 150)}
SPLITS = ("train", "train", "train", "val", "test")
COUNT = 60


def photograph(path: Path, name: str, item: int) -> None:
    """A field of the class's colour."""
    noise = generator(0, "coloured", item=item).normal(0, 12, (80, 84, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((noise + COLOURS[name]).clip(0, 255).astype(np.uint8)).save(path)


def class_of(item: int) -> str:
    return tuple(COLOURS)[item % 3]


def write(root: Path) -> Path:
    """Photographs, and a table: the class, twice spelt; its place among grades; whether the eye is ill; with gaps."""
    rows = [["id_code", "patient", "split", "Diagnosis", "stage", "ill.now", "remark"]]
    for item in range(COUNT):
        name = class_of(item)
        photograph(root / f"photographs/{item:03}.png", name, item)
        diagnosis = "" if item % 10 == 7 else name.lower() if item % 4 == 0 else name
        stage = "NA" if item % 10 == 3 else f"{list(COLOURS).index(name)}"
        ill = "" if item % 10 == 5 else "no" if name == "healthy" else "yes"
        rows.append([f"{item:03}", f"p{item}", SPLITS[item % 5], diagnosis, stage, ill, f"free text {item}"])
    with open(root / "labels.csv", "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return root / "photographs"


def prepared(root: Path, **values: Any) -> Path:
    source = write(root)
    options = {"labels": root / "labels.csv", "image_column": "id_code", "size": 0, "name": "eyes"}
    return prep.run(prep_runs.settings(root, "folder", source, **{**options, **values}))


def options(root: Path, **values: Any) -> FinetuneSettings:
    small = {"seeds": 1, "workers": 0, "accelerator": "cpu", "crop": 32, "batch": 8, "learning_rate": 0.1}
    chosen = {"task": "folder", "data": "eyes", "epochs": 8, "precise_bn": 0, **small, **values}
    return FinetuneSettings(**{"workspace": root, **chosen})


def folder_of(root: Path) -> Path:
    """The folder of the only task."""
    (found,) = (root / "finetune").glob("*/random")
    return found


def read(root: Path, kind: str) -> pd.DataFrame:
    return pd.read_parquet(folder_of(root) / f"{kind}.parquet")


@pytest.mark.usefixtures("light")
def test_a_table_of_several_labels(tmp_path: Path) -> None:
    table = manifest.read(prepared(tmp_path)).set_index("image_id")
    expected = [None if item % 10 == 7 else class_of(item) for item in range(COUNT)]
    assert [
        None if pd.isna(table["Diagnosis"][f"{item:03}"]) else table["Diagnosis"][f"{item:03}"] for item in range(COUNT)
    ] == expected
    finetune.run(options(tmp_path))
    predictions, results = read(tmp_path, "predictions"), read(tmp_path, "results")
    values = results[results["split"] == "test"].set_index("measure")["value"]
    heads = {"Diagnosis": ("healthy", "AMD", "DR"), "stage": ("0", "1", "2"), "ill.now": ("no", "yes")}
    assert list(predictions["head"].unique()) == list(heads)
    for head, names in heads.items():
        rows = predictions[predictions["head"] == head].set_index("image_id")
        known = table[(table["split"] == "test") & table[head].notna()]
        assert rows["true_class"].to_dict() == known[head].to_dict()
        assert [names[number] for number in rows["truth"]] == rows["true_class"].tolist()
        assert [names[number] for number in rows["prediction"]] == rows["predicted_class"].tolist()
        assert values[f"{head}_accuracy"] == pytest.approx(accuracy_score(rows["true_class"], rows["predicted_class"]))
        assert values[f"{head}_accuracy"] >= 0.8
    rows = predictions[predictions["head"] == "Diagnosis"]
    scores = np.stack(rows["probabilities"].tolist())
    assert values["Diagnosis_auc"] == pytest.approx(roc_auc_score(rows["truth"], scores, multi_class="ovr"))
    rows = predictions[predictions["head"] == "stage"]
    assert values["stage_kappa"] == pytest.approx(
        cohen_kappa_score(rows["truth"], rows["prediction"], weights="quadratic")
    )
    assert results.loc[results["primary"], "measure"].unique().tolist() == ["joint_accuracy"]
    bounded = results[(results["split"] == "test") & ~results["measure"].str.contains("threshold")]
    assert (bounded["low"] <= bounded["value"]).all() and (bounded["value"] <= bounded["high"]).all()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    prepared(tmp_path)
    finetune.run(options(tmp_path, heads=["diagnosis"], epochs=1, architecture="resnet18"))
    return folder_of(tmp_path) / "seed0/model.safetensors"


def test_predict_and_the_report_write_names(tmp_path: Path, model: Path) -> None:
    predict.run(
        PredictSettings(
            model=model, images=[tmp_path / "photographs"], out=tmp_path / "out", workers=0, accelerator="cpu"
        )
    )
    written = pd.read_csv(tmp_path / "out/predictions.csv", dtype={"image": str}).set_index("image")
    tested = read(tmp_path, "predictions").set_index("image_id")
    assert len(written) == COUNT and len(tested)
    for image_id, row in tested.iterrows():
        assert written["Diagnosis"][image_id] == row["predicted_class"]
        for name, probability in zip(COLOURS, row["probabilities"], strict=True):
            assert written[f"Diagnosis_{name}"][image_id] == pytest.approx(probability, abs=1e-5)
    answer = load_model(model, "cpu")(tmp_path / "photographs/000.png")
    assert answer.classes == {"Diagnosis": written["Diagnosis"]["000"]}
    page = report.run(ReportSettings(workspace=tmp_path)).read_text()
    assert "Confusions in folder-eyes,Diagnosis: Diagnosis" in page
    figures = {path.stem for path in (tmp_path / "report/figures").glob("*.svg")}
    assert "confusion-folder-eyes-diagnosis" in figures and "roc-folder-eyes-diagnosis" not in figures


@pytest.mark.usefixtures("light")
def test_permuted_test_labels_change_the_test_score_alone(tmp_path: Path) -> None:
    """Nothing of a test label reaches the model."""
    found = {}
    for name in ("as they are", "permuted"):
        root = tmp_path / name
        prepared(root)
        if name == "permuted":
            text = (root / "labels.csv").read_text().splitlines()
            changed = [
                line.replace("DR", "X").replace("AMD", "DR").replace("X", "AMD") if ",test," in line else line
                for line in text
            ]
            (root / "labels.csv").write_text("\n".join(changed))
            prepared_again = {"labels": root / "labels.csv", "image_column": "id_code", "size": 0, "name": "eyes"}
            prep.run(prep_runs.settings(root, "folder", root / "photographs", **prepared_again))
        finetune.run(options(root, heads=["Diagnosis"]))
        results = read(root, "results").set_index(["split", "measure"])["value"]
        path = folder_of(root) / "seed0/model.safetensors"
        found[name] = results, load_model_weights(path)
    (first, weights), (second, same) = found.values()
    assert weights == same and first["val"].equals(second["val"])
    assert first["test"]["accuracy"] > second["test"]["accuracy"]


def load_model_weights(path: Path) -> dict[str, bytes]:
    from safetensors.numpy import load_file

    return {key: tensor.tobytes() for key, tensor in load_file(path).items()}


@pytest.mark.usefixtures("light")
def test_folders_as_retfound_has_them(tmp_path: Path) -> None:
    for item in range(COUNT):
        photograph(tmp_path / f"raw/{SPLITS[item % 5]}/{class_of(item)}/{item}.png", class_of(item), item)
    said = swcl(
        "prep", "folder", tmp_path / "raw", "--labels", "folders", "--workspace", tmp_path, "--size", 0, "--workers", 0
    )
    assert said.code == 0 and "healthy (20), AMD (20), DR (20)" in said.out
    assert not manifest.read(Workspace(tmp_path).manifest("folder"))["class"].isna().any()
    finetune.run(options(tmp_path, data="folder"))
    results = read(tmp_path, "results")
    (score,) = results[(results["split"] == "test") & results["primary"]].itertuples()
    assert (score.measure, score.value > 0.8) == ("accuracy", True)


def write_signs(root: Path) -> Path:
    """Photographs that are bright in red, in green, in both or in neither, and a table of signs, with gaps."""
    rows = ["image,split,signs,Diagnosis"]
    for item in range(COUNT):
        red, green = item % 2, item // 2 % 2
        noise = generator(0, "coloured", item=item).normal(0, 12, (80, 84, 3))
        path = root / f"photographs/{item:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = (60 + 100 * red, 60 + 100 * green, 60)
        Image.fromarray((noise + colour).clip(0, 255).astype(np.uint8)).save(path)
        signs = ";".join(["red"] * red + ["GREEN" if item % 3 else "green"] * green) or "none"
        rows.append(f"{item:03},{SPLITS[item % 5]},{'' if item % 12 == 7 else signs},{('pale', 'red')[red]}")
    (root / "labels.csv").write_text("\n".join(rows))
    settings = {"labels": root / "labels.csv", "size": 0, "name": "eyes"}
    return prep.run(prep_runs.settings(root, "folder", root / "photographs", **settings))


@pytest.mark.parametrize("balance", [False, True], ids=["", "balanced"])
@pytest.mark.parametrize("given", [{}, {"probe": True, "name": "random"}], ids=["training", "probe"])
@pytest.mark.usefixtures("light")
def test_several_at_once_beside_classes(tmp_path: Path, given: dict[str, Any], balance: bool) -> None:
    table = manifest.read(write_signs(tmp_path)).set_index("image_id")
    assert set(table["signs"].dropna()) == {"", "red", "GREEN", "GREEN;red"}
    finetune.run(options(tmp_path, balance=balance, **given))
    predictions, results = read(tmp_path, "predictions"), read(tmp_path, "results")
    values = results[results["split"] == "test"].set_index("measure")["value"]
    assert results.loc[results["primary"], "measure"].unique().tolist() == ["mean"]
    assert values["mean"] == pytest.approx((values["signs_auc"] + values["Diagnosis_auc"]) / 2)
    assert min(values[["signs_auc", "signs_average_precision", "signs_f1", "Diagnosis_accuracy"]]) > 0.9
    tested = table[(table["split"] == "test") & table["signs"].notna()]
    aucs = []
    for sign in ("GREEN", "red"):
        rows = predictions[predictions["head"] == f"signs: {sign}"].set_index("image_id")
        there = tested["signs"].map(lambda text, sign=sign: sign in text.split(";"))
        assert rows["truth"].to_dict() == there.astype(int).to_dict()
        assert set(rows["true_class"]) == {sign, f"no {sign}"}
        score = np.stack(rows["probabilities"].tolist())[:, 1]
        aucs.append(roc_auc_score(rows["truth"], score))
        assert values[f"signs: {sign}_auc"] == pytest.approx(aucs[-1])
    assert values["signs_auc"] == pytest.approx(np.mean(aucs))


@pytest.mark.parametrize("heads", [["signs"], ["signs", "Diagnosis"]])
@pytest.mark.parametrize("given", [{"fraction": 0.5, "name": "random"}, {"folds": 3}], ids=["part", "folds"])
@pytest.mark.usefixtures("light")
def test_parts_and_folds_of_several_at_once(tmp_path: Path, heads: list[str], given: dict[str, Any]) -> None:
    table = manifest.read(write_signs(tmp_path))
    finetune.run(options(tmp_path, heads=heads, epochs=1, **given))
    predictions = read(tmp_path, "predictions")
    tested = table[table["split"] == "test"] if "fraction" in given else table
    assert (predictions["head"] == "signs: red").sum() == tested["signs"].notna().sum()


def test_labels_of_patients_are_scored_once_a_patient(tmp_path: Path) -> None:
    """By the mean of the probabilities of their photographs, which `predict` gives one by one."""
    source = write(tmp_path)
    rows = ["image,patient,eye,split,outcome"]
    for item in range(COUNT):
        ill = item // 15 % 2 == 1  # three photographs of a patient
        rows.append(f"{item:03},p{item // 3},{'LR'[item % 2]},{SPLITS[item // 3 % 5]},{'ill' if ill else 'well'}")
    (tmp_path / "patients.csv").write_text("\n".join(rows))
    chosen = {"labels": tmp_path / "patients.csv", "label": ["outcome=classes:well,ill/patient"], "name": "eyes"}
    prep.run(prep_runs.settings(tmp_path, "folder", source, size=0, **chosen))
    finetune.run(options(tmp_path, epochs=1, batch=9, architecture="resnet18"))
    predictions, results = read(tmp_path, "predictions"), read(tmp_path, "results")
    assert len(predictions) == predictions["patient_id"].nunique() == COUNT // 3 // 5
    model, out = folder_of(tmp_path) / "seed0/model.safetensors", tmp_path / "out"
    predict.run(PredictSettings(model=model, images=[source], out=out, workers=0, accelerator="cpu"))
    written = pd.read_csv(out / "predictions.csv", dtype={"image": str}).set_index("image")["outcome_ill"]
    truth, score = [], []
    for row in predictions.itertuples():
        number = int(row.patient_id[1:])
        score.append(np.mean([written[f"{item:03}"] for item in range(3 * number, 3 * number + 3)]))
        truth.append(number // 5 % 2 == 1)
        assert row.image_id == f"{3 * number:03}" and row.probabilities[1] == pytest.approx(score[-1], abs=1e-5)
        assert row.true_class == ("ill" if truth[-1] else "well")
    values = results[results["split"] == "test"].set_index("measure")["value"]
    assert values["auc"] == pytest.approx(roc_auc_score(truth, score))
    page = report.run(ReportSettings(workspace=tmp_path)).read_text()
    assert "On 4 test patients: 2 patients of class ill and 2 patients of class well" in page
    (legend,) = load_model(model, "cpu").kind.legend(load_model(model, "cpu").model)
    assert legend.startswith("outcome is of a patient")


@pytest.mark.parametrize("given", [{}, {"probe": True, "name": "random"}], ids=["training", "probe"])
@pytest.mark.usefixtures("light")
def test_probabilities_are_calibrated_on_validation(tmp_path: Path, given: dict[str, Any]) -> None:
    """The errors of calibration are those of the predictions that are stored, and of what they were before."""
    write_signs(tmp_path)
    finetune.run(options(tmp_path, epochs=3, **given))
    predictions, results = read(tmp_path, "predictions"), read(tmp_path, "results")
    values = results[results["split"] == "test"].set_index("measure")["value"]
    model = read_provenance(folder_of(tmp_path) / "seed0/model.safetensors")["model"]
    chosen = model["temperatures"]
    assert list(chosen) == list(model["heads"]) and all(value != 1 for value in chosen.values())
    rows = predictions[predictions["head"] == "Diagnosis"]
    signs = predictions[predictions["head"].str.startswith("signs: ")]
    said = np.stack(rows["probabilities"].tolist()).astype(np.float64)
    right = (said.argmax(axis=1) == rows["truth"]).to_numpy()
    of_signs, there = np.stack(signs["probabilities"].tolist())[:, 1].astype(np.float64), signs["truth"].to_numpy() == 1
    assert values["Diagnosis_calibration_error"] == pytest.approx(ece(right, said.max(axis=1)), abs=1e-6)
    assert values["signs_calibration_error"] == pytest.approx(ece(there, of_signs), abs=1e-6)
    before = said ** chosen["Diagnosis"] / (said ** chosen["Diagnosis"]).sum(axis=1, keepdims=True)
    assert values["Diagnosis_uncalibrated_error"] == pytest.approx(ece(right, before.max(axis=1)), abs=1e-4)
    page = report.run(ReportSettings(workspace=tmp_path)).read_text()
    assert "Calibration" in page and (tmp_path / "report/tables/calibration.csv").exists()


def ece(right: Any, said: Any) -> float:
    return reliability(right, said, 15).expected_calibration_error


@pytest.mark.usefixtures("light")
def test_validation_of_one_class_calibrates_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path)
    rows = [
        f"{item:03},{SPLITS[item % 5]},{'a' if SPLITS[item % 5] == 'val' else 'abc'[item % 3]}" for item in range(COUNT)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["image,split,kind", *rows]))
    chosen = {"labels": tmp_path / "labels.csv", "size": 0, "name": "eyes"}
    prep.run(prep_runs.settings(tmp_path, "folder", source, **chosen))
    finetune.run(options(tmp_path, epochs=1))
    assert "kind: validation has one class alone, so that its probabilities stay as" in capsys.readouterr().out
    model = read_provenance(folder_of(tmp_path) / "seed0/model.safetensors")["model"]
    assert model["temperatures"] == {"kind": 1.0}
    values = read(tmp_path, "results").query("split == 'test'").set_index("measure")["value"]
    assert values["calibration_error"] == values["uncalibrated_error"]


def test_a_model_of_before_is_used_as_it_is(model: Path, tmp_path: Path) -> None:
    """Its file tells no temperature: its probabilities are those of its network."""
    predictor = load_model(model, "cpu")
    temperature = predictor.model.facts["temperatures"]["Diagnosis"]
    facts = {name: value for name, value in predictor.model.facts.items() if name != "temperatures"}
    network = predictor.kind.network(predictor.network.get_submodule("encoder"), predictor.model.heads, facts)
    network.load_state_dict(predictor.network.state_dict())
    older = Predictor(replace(predictor.model, facts=facts), network, predictor.fabric)
    path = tmp_path / "photographs/001.png"
    now, before = (each(path).probabilities["Diagnosis"].astype(np.float64) for each in (predictor, older))
    powers = before ** (1 / temperature)
    assert temperature != 1 and now == pytest.approx(powers / powers.sum(), abs=1e-5) and now != pytest.approx(before)


def test_predict_joins_the_signs_above_their_thresholds(tmp_path: Path) -> None:
    write_signs(tmp_path)
    finetune.run(options(tmp_path, heads=["signs"], epochs=1, batch=11, architecture="resnet18"))
    model = folder_of(tmp_path) / "seed0/model.safetensors"
    chosen = read_provenance(model)["model"]["thresholds"]["signs"]
    raw, out = tmp_path / "photographs", tmp_path / "out"
    predict.run(PredictSettings(model=model, images=[raw], out=out, workers=0, accelerator="cpu"))
    with open(out / "predictions.csv", encoding="utf-8", newline="") as handle:
        written = {row["image"]: row for row in csv.DictReader(handle)}
    tested = read(tmp_path, "predictions")
    assert len(written) == COUNT and len(tested)
    for row in tested.itertuples():
        sign, line = row.head.removeprefix("signs: "), written[row.image_id]
        assert float(line[f"signs_{sign}"]) == pytest.approx(row.probabilities[1], abs=1e-5)
        assert (sign in line["signs"].split(";")) == bool(row.prediction)
        assert bool(row.prediction) == (row.probabilities[1] > chosen[("GREEN", "red").index(sign)])
    page = report.run(ReportSettings(workspace=tmp_path)).read_text()
    assert "ROC curves, folder-eyes,signs: red" in page and "Confusions in folder-eyes,signs: signs: GREEN" in page


@pytest.mark.parametrize(
    ("heads", "kind"), [(["Diagnosis"], "probe"), (["stage", "ill.now"], "probe"), (["Diagnosis", "stage"], "folds")]
)
@pytest.mark.usefixtures("light")
def test_probes_and_folds(tmp_path: Path, heads: list[str], kind: str) -> None:
    prepared(tmp_path)
    given: dict[str, Any] = {"probe": True, "name": "random"} if kind == "probe" else {"folds": 2}
    finetune.run(options(tmp_path, heads=heads, **given))
    results, predictions = read(tmp_path, "results"), read(tmp_path, "predictions")
    table = manifest.read(Workspace(tmp_path).manifest("eyes"))
    tested = table if kind == "folds" else table[table["split"] == "test"]
    for head in heads:
        assert (predictions["head"] == head).sum() == tested[head].notna().sum()
    values = results[(results["split"] == "test") & results["measure"].str.endswith("accuracy")]["value"]
    assert len(values) and (values > 0.7).all()


@pytest.mark.usefixtures("light")
def test_grades_are_learnt_by_their_order(tmp_path: Path) -> None:
    prepared(tmp_path)
    finetune.run(options(tmp_path, heads=["stage", "ill.now"], loss="corn", balance=True))
    predictions, results = read(tmp_path, "predictions"), read(tmp_path, "results")
    stage = predictions[predictions["head"] == "stage"]
    scores = np.stack(stage["probabilities"].tolist())
    assert scores.shape[1] == 3 and scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert stage["prediction"].tolist() == scores.argmax(axis=1).tolist()
    assert results.query("split == 'test' and measure == 'stage_kappa'")["value"].item() > 0.8
    model = read_provenance(folder_of(tmp_path) / "seed0/model.safetensors")
    assert model["model"]["corn"] == ["stage"] and model["settings"]["loss"] == "corn"
    with pytest.raises(UsageError, match="--loss corn is for grades: Diagnosis and ill.now has none"):
        finetune.run(options(tmp_path, heads=["Diagnosis", "ill.now"], loss="corn"))


def test_predict_gives_grades_learnt_by_their_order(tmp_path: Path) -> None:
    prepared(tmp_path)
    finetune.run(options(tmp_path, heads=["stage"], loss="corn", epochs=1, batch=11, architecture="resnet18"))
    predictor = load_model(folder_of(tmp_path) / "seed0/model.safetensors", "cpu")
    for row in read(tmp_path, "predictions").itertuples():
        answer = predictor(tmp_path / f"photographs/{row.image_id}.png")
        assert answer.probabilities["stage"] == pytest.approx(row.probabilities, abs=1e-5)
        assert answer.classes == {"stage": row.predicted_class}


def test_the_labels_are_shown_before_anything_is_prepared(tmp_path: Path) -> None:
    """Another kind of the same column makes another manifest, photographs stay as they are."""
    path = prepared(tmp_path)
    before, images = path.read_bytes(), contents(path.parent / "images")
    prepared(tmp_path)
    assert path.read_bytes() == before
    prepared(tmp_path, label=["stage=classes"])
    assert path.read_bytes() != before and contents(path.parent / "images") == images
    assert {label.name: label.kind for label in manifest.read_labels(path)} == {
        "Diagnosis": "classes", "stage": "classes", "ill.now": "classes",
    }  # fmt: skip
    with pytest.raises(SwclError, match="column 'remark' has 60 different|has one class"):
        (tmp_path / "labels.csv").unlink()
        (tmp_path / "labels.csv").write_text("id_code,remark\n000,a\n001,a\n")
        prep.run(
            prep_runs.settings(
                tmp_path,
                "folder",
                tmp_path / "photographs",
                name="other",
                labels=tmp_path / "labels.csv",
                image_column="id_code",
                label=["remark=classes"],
            )
        )
    assert not Workspace(tmp_path).manifest("other").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "train", "Diagnosis": ["AMD"]}, "All 9 train photographs of eyes have class 'AMD' of Diagnosis"),
        ({"split": "val", "Diagnosis": None}, "No val photograph of eyes has a Diagnosis: say which do"),
    ],
)
def test_what_can_not_be_learnt(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    from tests import prepared as pixels

    names = tuple(COLOURS)
    rows = [
        {"image": pixels.photograph(item), "split": split, "Diagnosis": names[item % 3]}
        for item, split in enumerate(["train"] * 9 + ["val"] * 3 + ["test"] * 3)
    ]
    for row in rows:
        if row["split"] == change["split"]:
            row["Diagnosis"] = change["Diagnosis"][0] if change["Diagnosis"] else None
    own = [Label("Diagnosis", "classes", "Diagnosis", names=names), Label("x", "classes", "x", names=("a", "b"))]
    pixels.write(tmp_path, "eyes", [{**row, "x": "ab"[number % 2]} for number, row in enumerate(rows)], own=own)
    with pytest.raises(SwclError, match=message):
        finetune.run(options(tmp_path))


def test_classes_that_training_never_sees_are_told(tmp_path: Path) -> None:
    from tests import prepared as pixels

    names = tuple(COLOURS)
    rows = [
        {"image": pixels.photograph(item), "split": split, "Diagnosis": names[item % (2 if split == "train" else 3)]}
        for item, split in enumerate(["train"] * 9 + ["val"] * 3 + ["test"] * 3)
    ]
    pixels.write(tmp_path, "eyes", rows, own=[Label("Diagnosis", "classes", "Diagnosis", names=names)])
    said = swcl(
        "finetune", "folder", "--data", "eyes", "--workspace", tmp_path, "--epochs", 1, "--seeds", 1, "--workers", 0,
        "--crop", 32, "--architecture", "resnet18", "--init", "random",
    )  # fmt: skip
    assert said.code == 0 and "Labels that are learnt: Diagnosis. --heads chooses others." in said.out
    assert (
        "Diagnosis: no training photograph of eyes has class 'DR', so none is predicted. Move some into train, or "
        "prepare eyes again with --label Diagnosis=classes:..." in said.err
    )


@pytest.mark.slow
def test_a_large_table_is_read_and_written_in_seconds(tmp_path: Path) -> None:
    """100,000 photographs of 20 labels: the table, and the manifest, beside the photographs' own time."""
    count, labels = 100_000, [f"label {number}" for number in range(20)]
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"image": [f"{item}.jpg" for item in range(count)]})
    for number, name in enumerate(labels):
        words = np.array([f"class {k}" for k in range(2 + number % 5)] + [""])
        table[name] = words[rng.integers(0, len(words), count)]
    source = tmp_path / "photographs"
    source.mkdir()
    for name in table["image"]:
        (source / name).touch()
    table.to_csv(tmp_path / "labels.csv", index=False)
    started = time.perf_counter()
    plain = folder.read(source)
    alone, started = time.perf_counter() - started, time.perf_counter()
    download = folder.read(source, labels=tmp_path / "labels.csv")
    rows = (
        {
            "dataset": "large", "split": "train", "image_id": each.image_id, "patient_id": each.patient_id,
            "group_id": each.patient_id, "eye": "unknown", "path": each.path, "width": 1, "height": 1, "checksum": 0,
            "source_path": each.path, "source_hash": "0", **each.labels,
        }
        for each in sorted(download.photographs, key=lambda each: each.image_id)
    )  # fmt: skip
    path = tmp_path / "manifest.parquet"
    manifest.write(path, rows, {"step": "prep"}, [], own=download.own_labels)
    seconds, started = time.perf_counter() - started - alone, time.perf_counter()
    read = manifest.read(path)
    reading = time.perf_counter() - started
    assert len(plain.photographs) == len(read) == count
    assert seconds < 20 and reading < 2, (seconds, reading)
    for name in labels:
        column = pa.array(read.set_index("path")[name].loc[table["image"]])
        assert pc.all(pc.equal(pc.fill_null(column, ""), pa.array(table[name]))).as_py()
