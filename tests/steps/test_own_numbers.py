"""Labels that are numbers, from people's own tables to models, tables, predictions and the report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, r2_score

from swcl_cli.chance import generator
from swcl_cli.data import manifest
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.settings import FinetuneSettings, PredictSettings, ReportSettings
from swcl_cli.steps import finetune, predict, prep, report
from swcl_cli.tasks.predictor import load_model
from swcl_cli.workspace import Workspace, read_provenance
from tests import prep_runs
from tests.commands import swcl
from tests.light import light

__all__ = ["light"]
SPLITS = ("train", "train", "train", "val", "test")
COUNT, EYES = 80, 2  # photographs, two of each patient
LACKING = (3, 4)  # of twenty patients: those without an age


def brightness(item: int) -> float:
    """From 0 to 1, the same for both eyes of a patient."""
    return float(generator(0, "brightness", item=item // EYES).random())


def write(root: Path, permuted: bool = False, **columns: list[Any]) -> Path:
    """Photographs of a brightness, and a table of what follows from it: an age that patients have, which some lack; a
    visus, with a comma and below 0; whether it is bright. permuted: test photographs have the ages of others.
    """
    rows = ["image;patient;eye;split;years;visus;bright" + "".join(f";{name}" for name in columns)]
    tested = [item for item in range(0, COUNT, EYES) if SPLITS[item // EYES % 5] == "test"]
    others = dict(zip(tested, reversed(tested), strict=True))
    for item in range(COUNT):
        light, patient = brightness(item), item // EYES
        noise = generator(0, "noise", item=item).normal(0, 6, (80, 84, 3))
        path = root / f"photographs/{item:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((noise + 50 + 150 * light).clip(0, 255).astype(np.uint8)).save(path)
        source = others.get(patient * EYES, patient * EYES) if permuted else patient * EYES
        years = "" if patient % 20 in LACKING else f"{20 + 60 * brightness(source):.2f}"
        visus = "NA" if item % 9 == 4 else f"{1 - 2 * light:.4f}".replace(".", ",")
        further = "".join(f";{values[item % len(values)]}" for values in columns.values())
        line = f"{item:03};p{patient};{'LR'[item % 2]};{SPLITS[patient % 5]};{years};{visus};{int(light > 0.5)}"
        rows.append(line + further)
    (root / "labels.csv").write_text("\n".join(rows))
    return root / "photographs"


def prepared(root: Path, permuted: bool = False, label: tuple[str, ...] = ("years=number/patient",)) -> pd.DataFrame:
    source = write(root, permuted)
    chosen = {"labels": root / "labels.csv", "size": 0, "name": "eyes", "label": list(label)}
    return manifest.read(prep.run(prep_runs.settings(root, "folder", source, **chosen))).set_index("image_id")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("numbers")
    prepared(root)
    return root


@pytest.fixture
def table(whole: Path, tmp_path: Path) -> pd.DataFrame:
    """The manifest of the prepared photographs, a copy of which is in the test's own workspace."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return manifest.read(Workspace(tmp_path).manifest("eyes")).set_index("image_id")


def options(root: Path, *heads: str, **values: Any) -> FinetuneSettings:
    small = {"seeds": 1, "workers": 0, "accelerator": "cpu", "crop": 32, "batch": 8, "learning_rate": 0.01}
    chosen = {"task": "folder", "data": "eyes", "epochs": 20, "precise_bn": 0, "name": "random", **small, **values}
    return FinetuneSettings(**{"workspace": root, "heads": [*heads], **chosen})


def folder_of(root: Path) -> Path:
    (found,) = (root / "finetune").glob("*/random")
    return found


def read(root: Path, kind: str) -> pd.DataFrame:
    return pd.read_parquet(folder_of(root) / f"{kind}.parquet")


def values_of(results: pd.DataFrame, split: str = "test") -> pd.Series:
    return results[results["split"] == split].set_index("measure")["value"]


def test_numbers_are_kept_as_they_are(tmp_path: Path, table: pd.DataFrame) -> None:
    assert [label.described() for label in manifest.read_labels(Workspace(tmp_path).manifest("eyes"))] == [
        {"name": "years", "kind": "number", "classes": 0, "of": "patient", "names": []},
        {"name": "visus", "kind": "number", "classes": 0, "of": "photograph", "names": []},
        {"name": "bright", "kind": "classes", "classes": 2, "of": "photograph", "names": ["0", "1"]},
    ]
    for item in range(COUNT):
        years, visus = table["years"][f"{item:03}"], table["visus"][f"{item:03}"]
        assert pd.isna(years) if item // EYES % 20 in LACKING else years == round(20 + 60 * brightness(item), 2)
        assert pd.isna(visus) if item % 9 == 4 else visus == round(1 - 2 * brightness(item), 4)


@pytest.mark.parametrize("given", [{}, {"probe": True}, {"grid": True, "epochs": 3}], ids=["training", "probe", "grid"])
@pytest.mark.usefixtures("light")
def test_a_number_of_photographs(tmp_path: Path, table: pd.DataFrame, given: dict[str, Any]) -> None:
    finetune.run(options(tmp_path, "visus", **given))
    results, predictions = read(tmp_path, "results"), read(tmp_path, "predictions").set_index("image_id")
    known = table[(table["split"] == "test") & table["visus"].notna()]
    assert predictions["true_number"].to_dict() == known["visus"].to_dict()
    assert predictions[["truth", "prediction", "probabilities"]].isna().all(axis=None)
    both, values = (predictions["true_number"], predictions["predicted_number"]), values_of(results)
    assert values["mae"] == pytest.approx(mean_absolute_error(*both)) and values["r2"] == pytest.approx(r2_score(*both))
    assert values["pearson"] == pytest.approx(pearsonr(*both)[0])
    assert results.loc[results["primary"], "measure"].unique().tolist() == ["mae"]
    bounded = results[results["split"] == "test"]
    assert (bounded["low"] < bounded["value"]).all() and (bounded["value"] < bounded["high"]).all()
    model = read_provenance(folder_of(tmp_path) / "seed0/model.safetensors")
    train = table[(table["split"] == "train") & table["visus"].notna()]["visus"].to_numpy(dtype=np.float64)
    scale = {"mean": pytest.approx(train.mean()), "sd": pytest.approx(train.std())}
    assert model["model"]["numbers"] == {"visus": {**scale, "least": train.min(), "most": train.max()}}
    assert predictions["predicted_number"].between(train.min(), train.max()).all(), "answers know their range"
    of_val = values_of(results, "val")["mae"]
    assert model["validation"]["best"] == pytest.approx(of_val)
    if "grid" in given:
        grid = read(tmp_path, "grid")
        assert grid.loc[grid["chosen"], "value"].item() == grid["value"].min() == pytest.approx(of_val)
    else:
        assert values["r2"] > 0.8, "the brightness of a photograph tells it"


@pytest.mark.usefixtures("light", "table")
def test_the_epoch_of_the_least_error_is_kept(tmp_path: Path) -> None:
    finetune.run(options(tmp_path, "visus", epochs=6))
    log = pd.read_json(next((tmp_path / "runs").rglob("log.jsonl")), lines=True)
    best = read_provenance(folder_of(tmp_path) / "seed0/model.safetensors")["validation"]
    course = log.dropna(subset=["validation"])
    assert best["best"] == pytest.approx(course["validation"].min()) and course["validation"].max() > best["best"]
    assert best["best_epoch"] == course["epoch"][course["validation"].idxmin()]


@pytest.mark.parametrize("given", [{}, {"probe": True}], ids=["training", "probe"])
@pytest.mark.usefixtures("light")
def test_numbers_beside_classes(tmp_path: Path, table: pd.DataFrame, given: dict[str, Any]) -> None:
    """The primary measure is the mean of R2 and of what is primary for the others."""
    finetune.run(options(tmp_path, "bright", "years", "visus", **given))
    results, predictions = read(tmp_path, "results"), read(tmp_path, "predictions")
    values = values_of(results)
    assert results.loc[results["primary"], "measure"].unique().tolist() == ["mean"]
    assert values["mean"] == pytest.approx((values["bright_auc"] + values["years_r2"] + values["visus_r2"]) / 3)
    assert min(values["bright_auc"], values["years_r2"], values["visus_r2"]) > 0.7
    bright = predictions[predictions["head"] == "bright"]
    assert bright[["true_number", "predicted_number"]].isna().all(axis=None)
    assert bright["true_class"].tolist() == table.loc[bright["image_id"], "bright"].tolist()
    years = predictions[predictions["head"] == "years"].set_index("image_id")
    tested = table[(table["split"] == "test") & table["years"].notna()].drop_duplicates("patient_id")
    assert years["true_number"].to_dict() == tested["years"].to_dict()


@pytest.mark.usefixtures("table")
def test_predict_writes_numbers_which_are_averaged_over_patients(tmp_path: Path) -> None:
    finetune.run(options(tmp_path, "years", "bright", epochs=2, architecture="resnet18", seeds=2))
    model, out = folder_of(tmp_path) / "seed0/model.safetensors", tmp_path / "out"
    images = [tmp_path / "photographs"]
    predict.run(PredictSettings(model=model, images=images, out=out, workers=0, accelerator="cpu"))
    written = pd.read_csv(out / "predictions.csv", dtype={"image": str}).set_index("image")
    assert list(written.columns) == ["width", "height", "bright", "bright_0", "bright_1", "years"]
    tested = read(tmp_path, "predictions").query("head == 'years' and run == 'seed0'").set_index("image_id")
    assert len(tested) == 6  # of 8 patients two have no age
    for image_id, row in tested.iterrows():
        eyes = [f"{int(image_id) + eye:03}" for eye in range(EYES)]
        assert row["predicted_number"] == pytest.approx(written.loc[eyes, "years"].mean(), rel=1e-4)
    predictor = load_model(model, "cpu")
    answer = predictor(tmp_path / "photographs/000.png")
    assert answer.numbers == {"years": pytest.approx(written["years"]["000"], rel=1e-5)}
    assert list(answer.classes) == list(answer.probabilities) == ["bright"]
    assert predictor.kind.legend(predictor.model) == [
        "years is of a patient: what was evaluated is the mean of the numbers of all of their photographs."
    ]
    page = report.run(ReportSettings(workspace=tmp_path)).read_text()
    assert "Predicted numbers in folder-eyes,years,bright: years" in page and "Each point is a test photograph" in page
    numbers = pd.read_csv(tmp_path / "report/tables/numbers.csv")
    mean = values_of(read(tmp_path, "results"))["years_mae"].mean()
    assert numbers.query("measure == 'mae'")["mean"].item() == pytest.approx(mean)
    figures = {path.stem for path in (tmp_path / "report/figures").glob("*.svg")}
    assert {"numbers-folder-eyes-years-bright-years", "roc-folder-eyes-years-bright-bright"} <= figures


@pytest.mark.usefixtures("light")
def test_permuted_test_numbers_change_the_test_score_alone(tmp_path: Path) -> None:
    found = {}
    for name in ("as they are", "permuted"):
        prepared(tmp_path / name, permuted=name == "permuted")
        finetune.run(options(tmp_path / name, "years", "bright", epochs=10))
        model = folder_of(tmp_path / name) / "seed0/model.safetensors"
        found[name] = read(tmp_path / name, "results"), model.read_bytes()[-10_000:], read_provenance(model)["model"]
    (first, weights, facts), (second, same, same_facts) = found.values()
    assert weights == same and facts == same_facts and values_of(first, "val").equals(values_of(second, "val"))
    assert values_of(first)["years_mae"] < values_of(second)["years_mae"]
    assert values_of(first)["bright_auc"] == values_of(second)["bright_auc"]


@pytest.mark.parametrize("given", [{"fraction": 0.5}, {"folds": 3}], ids=["part", "folds"])
@pytest.mark.parametrize("order", ["keyed", "released"])
@pytest.mark.usefixtures("light")
def test_parts_and_folds(tmp_path: Path, table: pd.DataFrame, given: dict[str, Any], order: str) -> None:
    finetune.run(options(tmp_path, "years", epochs=1, fold_order=order, **given))
    tested = table if "folds" in given else table[table["split"] == "test"]
    assert len(read(tmp_path, "predictions")) == tested[tested["years"].notna()]["patient_id"].nunique()


@pytest.mark.usefixtures("table")
def test_which_labels_are_learnt_where_nobody_says(tmp_path: Path) -> None:
    """Numbers are learnt where they are named; where there is nothing else, those of people's own."""
    said = swcl("finetune", "folder", "--data", "eyes", "--workspace", tmp_path, "--init", "nowhere.pt")
    assert "Labels that are learnt: bright. --heads chooses others" in said.out
    prepared(tmp_path, label=("bright=none", "visus=none"))
    said = swcl("finetune", "folder", "--data", "eyes", "--workspace", tmp_path, "--init", "nowhere.pt")
    assert "Labels that are learnt: years." in said.out


def test_a_known_age_is_learnt_where_it_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    text = (tmp_path / "labels.csv").read_text().splitlines()
    lines = ["image;age;split;bright"]
    for line in text[1:]:
        image, _, _, split, years, _, bright = line.split(";")
        lines.append(f"{image};{years.partition('.')[0]};{split};{bright}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    chosen = {"labels": tmp_path / "labels.csv", "label": ["age=number", "bright=none"], "size": 0, "name": "eyes"}
    prep.run(prep_runs.settings(tmp_path, "folder", tmp_path / "photographs", **chosen))
    with pytest.raises(SwclError, match="holds nothing to learn"):
        finetune.run(options(tmp_path))
    finetune.run(options(tmp_path, "age", epochs=1, architecture="resnet18"))
    table = manifest.read(Workspace(tmp_path).manifest("eyes")).set_index("image_id")
    tested = table[(table["split"] == "test") & table["age"].notna()]
    predictions = read(tmp_path, "predictions").set_index("image_id")
    assert predictions["true_number"].to_dict() == tested["age"].to_dict() and predictions.index.size
    assert folder_of(tmp_path).parent.name == "folder-eyes,age"


@pytest.mark.parametrize(
    ("columns", "label", "why"),
    [
        ({"iop": [*range(12, 40), "n.d."]}, ["iop=number"], "rows 30 and 59: column 'iop' holds 'n.d.' beside numbers"),
        ({"iop": [14]}, ["iop=number"], "column 'iop' holds one number, 14"),
        ({"iop": [14, 15, "inf"]}, ["iop=number"], "rows 4, 7, 10, 13, 16 and 21 more: column 'iop' holds 'inf'"),
        ({"iop": [14, 15, 16.5]}, ["iop=number/patient"], "is of patients, but of p0 000.png has '14.0' and 001.png"),
        ({"iop": [14, 15]}, ["iop=number:14,15"], "two or more classes can be named"),
    ],
)
def test_numbers_that_can_not_be_read(tmp_path: Path, columns: dict[str, Any], label: list[str], why: str) -> None:
    source = write(tmp_path, **columns)
    said = swcl(
        *("prep", "folder", source, "--labels", tmp_path / "labels.csv", "--workspace", tmp_path),
        *(word for each in label for word in ("--label", each)),
    )
    assert said.code and why in " ".join(said.err.split()), said.err


def test_columns_that_are_taken_for_no_number_are_told(tmp_path: Path) -> None:
    source = write(tmp_path, iop=[*range(12, 40), "n.d."], number=[*range(COUNT)])
    said = swcl("prep", "folder", source, "--labels", tmp_path / "labels.csv", "--workspace", tmp_path, "--workers", 0)
    told = " ".join((said.out + said.err).split())
    assert said.code == 0 and "'iop' (holds 'n.d.' beside numbers in rows 30 and 59)" in told
    assert "'number' (counts its rows: --label 'number=number' takes it for a label)" in told


@pytest.mark.parametrize(
    ("change", "settings", "error", "why"),
    [
        ({}, {"balance": True}, UsageError, "--balance weighs classes: years has none, being a number"),
        (
            {"train": 50.0},
            {},
            SwclError,
            "All train photographs of eyes have years = 50, where it is known",
        ),
        ({"val": None}, {}, SwclError, "No val photograph of eyes has a years: say which do"),
        ({"test": None}, {}, SwclError, "No test photograph of eyes has a years"),
    ],
)
def test_what_can_not_be_learnt(
    tmp_path: Path, change: dict[str, Any], settings: dict[str, Any], error: type[Exception], why: str
) -> None:
    write(tmp_path)
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    cells = [line.split(";") for line in lines]
    for row in cells[1:]:
        row[4] = ("" if change[row[3]] is None else str(change[row[3]])) if row[3] in change else row[4]
    (tmp_path / "labels.csv").write_text("\n".join(map(";".join, cells)))
    chosen = {"labels": tmp_path / "labels.csv", "size": 0, "name": "eyes"}
    prep.run(prep_runs.settings(tmp_path, "folder", tmp_path / "photographs", **chosen))
    with pytest.raises(error, match=why):
        finetune.run(options(tmp_path, *([] if settings else ["visus"]), "years", **settings))
