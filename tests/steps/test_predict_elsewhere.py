"""Train here, test there: models scored on prepared sets that they were not trained on, alone and together."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, cohen_kappa_score, roc_auc_score

from swcl_cli.data import manifest
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.tasks.classification import Classification
from swcl_cli.tasks.predictor import load_model
from swcl_cli.tasks.segmentation import Segmentation
from swcl_cli.workspace import Workspace, read_provenance
from tests import own_eyes, prepared
from tests.commands import Finished, swcl

CPU = ("--workers", 0, "--accelerator", "cpu")
PROBE = ("--probe", "--crop", 32, "--architecture", "resnet18", "--folds", 2, "--seeds", 1, *CPU)
PATIENTS = 16
TASK = "folder-clinic-a,diagnosis,stage"


def write(path: Path, rows: list[dict[str, str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def prep(root: Path, name: str, *more: Any) -> None:
    done = swcl("prep", "folder", root / name, "--workspace", root, "--size", 64, "--workers", 0, *more)
    assert done.code == 0, done.err


@pytest.fixture(scope="module")
def clinics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of two folds of clinic-a; clinic-b, whose eyes are of other people with other ids, spelt otherwise, one
    class of which nobody learnt; clinic-c without labels.
    """
    root = tmp_path_factory.mktemp("elsewhere")
    own_eyes.clinic(root / "a", 0, PATIENTS, "a.csv", classes=("healthy", "DR", "DR"))
    own_eyes.clinic(root / "b", 1, PATIENTS, "b.csv", classes=("Healthy", "dr", "dr"))
    for name in ("a", "b"):
        rows = [{**row, "stage": "01122"[int(row["stage"])]} for row in rows_of(root / f"{name}.csv")]
        for row in rows[4:7] if name == "b" else ():
            row["diagnosis"] = "glaucoma"
        write(root / f"{name}.csv", [{**row, "patient": row["patient"].replace("P", name.upper())} for row in rows])
    prep(root, "a", "--labels", root / "a.csv", "--name", "clinic-a")
    prep(root, "b", "--labels", root / "b.csv", "--name", "clinic-b")
    own_eyes.clinic(root / "c", 2, 3, "c.csv")
    prep(root, "c", "--name", "clinic-c", "--name-pattern", r"(?P<patient>P\d+)")
    done = swcl("finetune", "folder", "--workspace", root, "--data", "clinic-a", "--heads", "diagnosis,stage", *PROBE)
    assert done.code == 0, done.err
    return root


def models(root: Path) -> list[Path]:
    return sorted(root.glob(f"finetune/{TASK}/random-probe/*/model.safetensors"))


def score(root: Path, given: list[Path], *more: Any, data: str = "clinic-b") -> Finished:
    return swcl("predict", *given, "--workspace", root, "--data", data, *CPU, *more)


def scored(root: Path, data: str = "clinic-b") -> Path:
    (path,) = root.glob(f"tested/{data}/*/*/*/results.parquet")
    return path.parent


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture
def fresh(clinics: Path) -> Path:
    shutil.rmtree(clinics / "tested", ignore_errors=True)
    return clinics


def test_a_model_is_scored_where_it_was_not_trained(fresh: Path) -> None:
    """Against scikit-learn, on the table that people wrote; what the model never learnt is left out and counted."""
    own = pd.read_parquet(fresh / f"finetune/{TASK}/random-probe/results.parquet")
    done = score(fresh, models(fresh)[:1])
    assert done.code == 0, done.err
    table = {row["image"].removesuffix(".jpg"): row for row in rows_of(fresh / "b.csv")}
    assert "photographs have no" not in done.err
    unseen = sum(row["diagnosis"] == "glaucoma" for row in table.values())
    said = " ".join(done.err.split())
    assert (
        unseen
        and f"clinic-b: {unseen} photographs have classes of diagnosis that the model never learnt, 'glaucoma'" in said
    )
    folder = scored(fresh)
    assert folder == fresh / f"tested/clinic-b/{TASK}/random-probe/fold0-seed0"
    answers = {row["image"]: row for row in rows_of(folder / "predictions.csv")}
    assert answers.keys() == table.keys()
    values = pd.read_parquet(folder / "results.parquet").set_index("measure")
    known = [name for name in sorted(table) if table[name]["diagnosis"] != "glaucoma"]
    truth = [table[name]["diagnosis"].lower() for name in known]
    assert values["value"]["diagnosis_accuracy"] == pytest.approx(
        accuracy_score(truth, [answers[name]["diagnosis"].lower() for name in known])
    )
    assert values["value"]["diagnosis_auc"] == pytest.approx(
        roc_auc_score([name == "dr" for name in truth], [float(answers[name]["diagnosis_DR"]) for name in known]),
        abs=1e-5,
    )
    stages = [[int(rows[name]["stage"]) for name in sorted(table)] for rows in (table, answers)]
    assert values["value"]["stage_kappa"] == pytest.approx(cohen_kappa_score(*stages, weights="quadratic"))
    bounded = values.loc[["diagnosis_accuracy", "stage_accuracy"]]
    assert (bounded["low"] <= bounded["value"]).all() and (bounded["value"] <= bounded["high"]).all()
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert (predictions["head"] == "diagnosis").sum() == len(known) and (predictions["head"] == "stage").sum() == len(
        table
    )
    made = read_provenance(folder / "results.parquet")["tested"]
    assert (made["dataset"], made["trained_on"], made["photographs"], made["patients"]) == (
        "clinic-b",
        ["clinic-a"],
        2 * PATIENTS,
        PATIENTS,
    )
    pd.testing.assert_frame_equal(own, pd.read_parquet(fresh / f"finetune/{TASK}/random-probe/results.parquet"))


def test_several_models_answer_by_the_mean_of_their_probabilities(fresh: Path) -> None:
    alone = []
    for model in models(fresh):
        assert score(fresh, [model]).code == 0
        alone.append(rows_of(scored(fresh) / "predictions.csv"))
        shutil.rmtree(fresh / "tested")
    done = score(fresh, models(fresh))
    assert done.code == 0, done.err
    together = rows_of(scored(fresh) / "predictions.csv")
    assert scored(fresh).name.startswith("2-models-")
    for one, other, mean in zip(*alone, together, strict=True):
        for cell in ("diagnosis_healthy", "diagnosis_DR", "stage_0"):
            assert float(mean[cell]) == pytest.approx((float(one[cell]) + float(other[cell])) / 2, abs=2e-6)
        best = max(("healthy", "DR"), key=lambda name: float(mean[f"diagnosis_{name}"]))
        assert mean["diagnosis"] == best


def test_ensembles_predict_photographs_too(fresh: Path, tmp_path: Path) -> None:
    done = swcl("predict", *models(fresh), fresh / "b", "--out", tmp_path / "out", *CPU)
    assert done.code == 0, done.err
    rows = rows_of(tmp_path / "out/predictions.csv")
    each = [load_model(path, "cpu")(fresh / "b" / f"{rows[0]['image']}.jpg") for path in models(fresh)]
    mean = np.mean([answer.probabilities["diagnosis"] for answer in each], axis=0)
    assert float(rows[0]["diagnosis_DR"]) == pytest.approx(mean[1], abs=2e-6)


def test_a_permuted_label_changes_the_score_alone(fresh: Path) -> None:
    assert score(fresh, models(fresh)[:1]).code == 0
    folder = scored(fresh)
    before = [pd.read_parquet(folder / "results.parquet"), (folder / "predictions.csv").read_bytes()]
    path = Workspace(fresh).manifest("clinic-b")
    original = path.read_bytes()
    try:
        table = manifest.read(path)
        labels = [label for label in manifest.read_labels(path) if label.is_own]
        moved = table.assign(stage=np.roll(table["stage"].to_numpy(), 3))
        manifest.write(path, prepared.manifest_rows(moved), read_provenance(path), own=labels)
        assert score(fresh, models(fresh)[:1]).code == 0
    finally:
        path.write_bytes(original)
    after = pd.read_parquet(folder / "results.parquet")
    assert (folder / "predictions.csv").read_bytes() == before[1]
    same = after["value"].eq(before[0]["value"]) | after["value"].isna()
    of_stage = after["measure"].str.startswith(("stage", "joint"))
    assert same[~of_stage].all() and not same[of_stage].all()


def test_a_set_that_trained_is_refused(fresh: Path) -> None:
    done = score(fresh, models(fresh), data="clinic-a")
    assert done.code == 1 and not (fresh / "tested").exists()
    assert "was trained on photographs of clinic-a, and its scores on those that it did not see are in" in done.err


def test_shared_photographs_and_patients_are_left_out(fresh: Path) -> None:
    """Six photographs of clinic-a under other names, and patients with ids as in clinic-a."""
    (fresh / "d").mkdir(exist_ok=True)
    taken = sorted(row["image"] for row in rows_of(fresh / "a.csv"))[:6]
    for name in taken:
        shutil.copy(fresh / "a" / name, fresh / "d" / f"copy-{name}")
    rows = [
        dict(row, image=f"copy-{row['image']}", patient="Z1")
        for row in rows_of(fresh / "a.csv")
        if row["image"] in taken
    ]
    for row in rows_of(fresh / "b.csv"):
        shutil.copy(fresh / "b" / row["image"], fresh / "d")
        rows.append(dict(row, patient=row["patient"].replace("B00", "A00")))
    write(fresh / "d.csv", rows)
    prep(fresh, "d", "--labels", fresh / "d.csv", "--name", "clinic-d", "--label", "diagnosis=none")
    done = score(fresh, models(fresh)[:1], data="clinic-d")
    said = " ".join(done.err.split())
    assert done.code == 0, done.err
    assert (
        "6 of 38 photographs of clinic-d are left out: these, or others of their patients, are among those of clinic-a"
        in said
    )
    assert "20 of 38 photographs of clinic-d are left out: the ids of their patients are in clinic-a" in said
    assert len(rows_of(scored(fresh, "clinic-d") / "predictions.csv")) == 12
    assert score(fresh, models(fresh)[:1], "--patients", "apart", data="clinic-d").code == 0
    assert len(rows_of(scored(fresh, "clinic-d") / "predictions.csv")) == 32


def test_without_labels_there_are_predictions_alone(fresh: Path) -> None:
    done = score(fresh, models(fresh)[:1], "--patients", "apart", data="clinic-c")
    assert done.code == 0, done.err
    assert "clinic-c has no label diagnosis, stage: predictions alone are in" in " ".join(done.out.split())
    (folder,) = (path.parent for path in fresh.glob("tested/clinic-c/*/*/*/predictions.csv"))
    assert len(rows_of(folder / "predictions.csv")) == 6 and not (folder / "results.parquet").exists()


def test_models_of_different_tasks_are_refused(fresh: Path) -> None:
    done = swcl("finetune", "folder", "--workspace", fresh, "--data", "clinic-a", "--heads", "stage", *PROBE)
    assert done.code == 0, done.err
    (other,) = fresh.glob("finetune/folder-clinic-a,stage/random-probe/fold0-seed0/model.safetensors")
    done = score(fresh, [models(fresh)[0], other])
    assert done.code == 1
    assert f"{models(fresh)[0]} and {other} are of tasks {TASK} and folder-clinic-a,stage" in done.err
    done = score(fresh, [models(fresh)[0], models(fresh)[0]])
    assert done.code == 2 and "is the same model as another one that is given: name each once." in done.err


def test_classes_without_anything_in_common_are_refused(fresh: Path) -> None:
    text = (fresh / "b.csv").read_text(encoding="utf-8").replace("Healthy", "fine").replace(",dr,", ",ill,")
    (fresh / "e.csv").write_text(text, encoding="utf-8")
    prep(fresh, "b", "--labels", fresh / "e.csv", "--name", "clinic-e")
    done = score(fresh, models(fresh)[:1], data="clinic-e")
    assert done.code == 1
    assert "clinic-e: no photograph has a class of diagnosis that the model learnt: healthy, DR; there are" in done.err


def test_the_report_shows_them_apart(fresh: Path) -> None:
    assert score(fresh, models(fresh)).code == 0
    done = swcl("report", "--workspace", fresh, "--no-images")
    assert done.code == 0, done.err
    page = (fresh / "report/index.html").read_text(encoding="utf-8")
    assert "Trained here, tested there" in page
    (table,) = (fresh / "report/tables").glob("elsewhere.csv")
    rows = rows_of(table)
    assert {row["tested_on"] for row in rows} == {"clinic-b"} and {row["trained_on"] for row in rows} == {"clinic-a"}
    main = (fresh / "report/tables/results.csv").read_text(encoding="utf-8")
    assert "2-models" not in main and "clinic-b" not in main


def test_the_report_tells_scores_of_other_models_and_data_than_those_that_are_here(fresh: Path) -> None:
    assert score(fresh, models(fresh)).code == 0
    workspace = Workspace(fresh)
    (artefact,) = [each.artefact for each in read_contents(workspace).elsewhere]
    assert artefact.path not in str(cautions(read_contents(workspace)))
    prep(fresh, "b", "--labels", fresh / "b.csv", "--name", "clinic-b", "--label", "stage=none")
    model = models(fresh)[0]
    shutil.copy(models(fresh)[1], model)
    told = str(cautions(read_contents(workspace)))
    of_data = f"{artefact.path} was made from another data/clinic-b/manifest.parquet than the one that is here"
    assert of_data in told
    assert f"{artefact.path} are scores of models that finetune/{TASK}/{model.parent.parent.name} does not hold" in told


def test_what_does_not_go_together_is_refused(fresh: Path, tmp_path: Path) -> None:
    model = models(fresh)[0]
    for words, message in (
        ((fresh / "b", "--out", tmp_path / "out", "--patients", "apart"), "patients: it is about --data, which scores"),
        (("--data", "clinic-b", "--out", tmp_path / "out"), "--out: "),
        (("--data", "clinic-b", "--threshold", "0.5"), "--threshold: "),
        ((fresh / "b", "--data", "clinic-b"), "data: name photographs or prepared data sets, not both"),
    ):
        done = swcl("predict", model, *words, "--workspace", fresh, *CPU)
        assert (done.code, message in done.err) == (2, True), done.err
    assert not (fresh / "tested").exists() and not (tmp_path / "out").exists()


def test_means_of_scores_by_hand() -> None:
    """Of probabilities, not of log odds; of structures that exclude each other the background takes the rest."""
    described = load_description({})
    first, second = np.array([[[2.0]], [[-1.0]]], np.float32), np.array([[[0.0]], [[1.0]]], np.float32)
    mean = Segmentation().mean([first, second], described)
    sigmoid = [(1 / (1 + np.exp(-first)) + 1 / (1 + np.exp(-second))) / 2]
    np.testing.assert_allclose(1 / (1 + np.exp(-mean)), sigmoid[0], rtol=1e-5)
    both = {"structures": {"names": ["a", "b"], "shades": [
        {"code": 0, "names": []}, {"code": 1, "names": ["a"]}, {"code": 2, "names": ["b"]},
    ]}}  # fmt: skip
    mean = Segmentation().mean([first, second], load_description(both))
    parts = []
    for part in (first, second):
        whole = np.exp(np.concatenate([np.zeros((1, 1, 1)), part]))
        parts.append(whole / whole.sum(axis=0))
    expected = np.mean(parts, axis=0)
    whole = np.exp(np.concatenate([np.zeros((1, 1, 1)), mean]))
    np.testing.assert_allclose(whole / whole.sum(axis=0), expected, rtol=1e-5)
    scores = [{"x": np.array([0.2, 0.8], np.float32)}, {"x": np.array([0.6, 0.4], np.float32)}]
    np.testing.assert_allclose(Classification().mean(scores, described)["x"], [0.4, 0.6], rtol=1e-6)


def load_description(facts: dict[str, Any]) -> Any:
    from swcl_cli.tasks.saved import Description

    return Description(
        "t", "segmentation", {"a": 2, "b": 2}, 32, "resnet18", (0, 0, 0), (1, 1, 1), "fp32", 0, False, False, True,
        (1, 1), facts,
    )  # fmt: skip


def test_masks_of_another_set(tmp_path: Path) -> None:
    """A model of one structure, on the masks of another set of one: F1 over all pixels of a photograph, by a loop."""
    for name, first in (("here", 0), ("there", 100)):
        rows = []
        for item in range(6):
            image = prepared.photograph(first + item)
            mask = np.where(image[:, :, 0] > 150, 255, 0).astype(np.uint8)
            split = ("train", "train", "train", "val", "test", "test")[item]
            rows.append(
                {
                    "image": image,
                    "mask": mask,
                    "split": split,
                    "patient_id": f"{name}{item}",
                    "image_id": f"{name}{item}",
                }
            )
        prepared.write(tmp_path, name, rows, size=0)
        prepared.change(tmp_path, name, source_hash=[f"{name}{item}" for item in range(6)])
    words = ("--crop", 64, "--batch", 3, "--epochs", 2, "--seeds", 2, "--architecture", "resnet18", "--precise-bn", 0)
    done = swcl("finetune", "folder", "--workspace", tmp_path, "--data", "here", "--decoder", "smp-unet", *words, *CPU)
    assert done.code == 0, done.err
    given = sorted(tmp_path.glob("finetune/folder-here/random/*/model.safetensors"))
    done = score(tmp_path, given, data="there")
    assert done.code == 0, done.err
    folder = scored(tmp_path, "there")
    value = pd.read_parquet(folder / "results.parquet").set_index("measure")["value"]["f1"]
    table = manifest.read(Workspace(tmp_path).manifest("there"))
    each = [load_model(path, "cpu") for path in given]
    scores = []
    for path, mask_path in zip(table["path"], table["mask_path"], strict=True):
        image = np.asarray(Image.open(tmp_path / path).convert("RGB"))
        truth = np.asarray(Image.open(tmp_path / mask_path)) > 127
        found = np.mean([predictor(image).probabilities["mask"] for predictor in each], axis=0) > 0.5
        scores.append(2 * (found & truth).sum() / max((found.sum() + truth.sum()), 1))
    assert value == pytest.approx(np.mean(scores), abs=0.02)
    assert len(list((folder / "maps").iterdir())) == 6
