"""`finetune` on planted signals: it learns them, tests once, and writes what gives its results again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from swcl_cli.data import manifest
from swcl_cli.data.columns import RESULTS
from swcl_cli.data.images import read_mask
from swcl_cli.errors import SwclError
from swcl_cli.steps import finetune
from swcl_cli.tasks import fitting
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared
from tests.folders import read_log
from tests.planted import DRIVE, IDRID, SPLITS, options, write_drive, write_idrid

COLUMNS = [
    "task", "name", "run", "seed", "fold", "split", "measure", "value", "reason", "primary", "low", "high",
]  # fmt: skip


@pytest.fixture(scope="module")
def idrid(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("idrid")
    write_idrid(root)
    finetune.run(options(root, IDRID, seeds=2))
    return Workspace(root)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("drive")
    write_drive(root)
    finetune.run(options(root, DRIVE))
    return Workspace(root)


def read(workspace: Workspace, task: str, kind: str, run: str = "") -> pd.DataFrame:
    return pq.read_table(workspace.finetune(task, "random") / run / f"{kind}.parquet").to_pandas()


def values(workspace: Workspace, task: str, split: str, run: str = "seed0") -> dict[str, float]:
    table = read(workspace, task, "results", run)
    return dict(table[table["split"] == split][["measure", "value"]].to_numpy().tolist())


def test_a_planted_grade_is_learnt(idrid: Workspace) -> None:
    for run in ("seed0", "seed1"):
        found = values(idrid, "idrid", "test", run)
        assert found["joint_accuracy"] >= 0.9 and found["dme_grade_kappa"] > 0.9 and found["dr_grade_auc"] > 0.95


def test_planted_vessels_are_found(drive: Workspace) -> None:
    found = values(drive, "drive", "test")
    assert found["f1"] > 0.8 and found["auc"] > 0.95


@pytest.mark.parametrize("task", ["idrid", "drive"])
def test_columns_of_results(task: str, request: pytest.FixtureRequest) -> None:
    workspace: Workspace = request.getfixturevalue(task)
    runs = ["seed0", "seed1"] if task == "idrid" else ["seed0"]
    path = workspace.finetune(task, "random") / "results.parquet"
    table = pq.read_table(path)
    assert table.column_names == COLUMNS and table.schema.remove_metadata() == RESULTS.schema
    frame = table.to_pandas()
    assert list(frame["run"].unique()) == runs and set(frame["split"]) == {"val", "test"}
    assert not frame.duplicated(["run", "split", "measure"]).any()
    primary = frame[frame["primary"]]
    assert len(primary) == 2 * len(runs) and set(primary["measure"]) == {"joint_accuracy" if task == "idrid" else "f1"}
    chosen = frame["measure"].str.contains("threshold")  # on validation: no patient is drawn
    judged = frame[(frame["split"] == "test") & frame["value"].notna() & ~chosen]
    assert (judged["low"] <= judged["value"]).all() and (judged["value"] <= judged["high"]).all()
    assert frame.drop(judged.index)[["low", "high"]].isna().all(axis=None)
    assert (frame["reason"].notna() == frame["value"].isna()).all()
    provenance = read_provenance(path)
    assert provenance["step"] == "finetune" and provenance["inputs"].keys() == {task}
    assert provenance["settings"]["seeds"] == len(runs) and str(workspace.root) not in json.dumps(provenance)


def test_files_of_a_run(drive: Workspace) -> None:
    folder = drive.finetune("drive", "random")
    made = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    maps = [f"seed0/maps/{item}.png" for item in range(20) if SPLITS[item % 5] == "test"]
    whole = ["predictions.parquet", "results.parquet"]
    assert made == sorted([*whole, *(f"seed0/{name}" for name in whole), "seed0/model.safetensors", *maps])
    assert not drive.finetuning("drive", "random", "seed0").resume.exists()
    model = read_provenance(folder / "seed0/model.safetensors")
    assert model["model"] == {
        "task": "drive", "kind": "segmentation", "heads": {"vessel": 2}, "ratio": None, "crop": 32,
        "architecture": "resnet18", "decoder": "deeplabv3plus", "output_stride": 16, "precision": "fp32",
        "mean": [0.3219, 0.2259, 0.1633], "std": [0.3038, 0.2195, 0.1756],
        "size": 0, "sizes": [40, 40], "square": False, "crop_to_field": False, "lossless": True,
    }  # fmt: skip
    assert model["validation"]["best"] == values(drive, "drive", "val")["f1"]


def test_predictions_give_the_results_again_for_grades(idrid: Workspace) -> None:
    table = read(idrid, "idrid", "predictions")
    assert set(table["split"]) == {"test"} and len(table) == 2 * 2 * 20
    for run, rows in table.groupby("run"):
        found, right = values(idrid, "idrid", "test", str(run)), []
        for head, part in rows.sort_values("image_id").groupby("head"):
            scores = np.stack(part["probabilities"].to_list())
            truth, prediction = part["truth"].to_numpy(), scores.argmax(axis=1)
            assert scores.shape == (20, 5 if head == "dr_grade" else 3) and scores.dtype == np.float32
            assert prediction.tolist() == part["prediction"].tolist()
            assert found[f"{head}_accuracy"] == (truth == prediction).mean()
            assert found[f"{head}_kappa"] == pytest.approx(cohen_kappa_score(truth, prediction, weights="quadratic"))
            assert found[f"{head}_auc"] == pytest.approx(roc_auc_score(truth > 0, 1 - scores[:, 0]))
            right.append(truth == prediction)
        assert found["joint_accuracy"] == np.logical_and(*right).mean()


def test_predictions_give_the_results_again_for_vessels(drive: Workspace) -> None:
    table, found = read(drive, "drive", "predictions"), values(drive, "drive", "test")
    f1, pooled, truths, scores = [], np.zeros(3), [], []
    for row in table.itertuples():
        truth = read_mask(drive.root / row.mask_path) > 127
        score = np.asarray(Image.open(drive.root / row.map_path))
        assert score.shape == truth.shape and score.dtype == np.uint8
        predicted = score > 127
        hits = (truth & predicted).sum()
        f1.append(2 * hits / (truth.sum() + predicted.sum()))
        assert row.f1 == pytest.approx(f1[-1], abs=1e-9)
        pooled += row.true_positives, row.false_positives, row.false_negatives
        truths.append(truth.ravel())
        scores.append(score.ravel())
    assert found["f1"] == pytest.approx(np.mean(f1)) and len(f1) == 4
    assert found["f1_pooled"] == pytest.approx(2 * pooled[0] / (2 * pooled[0] + pooled[1] + pooled[2]))
    assert found["auc"] == pytest.approx(roc_auc_score(np.concatenate(truths), np.concatenate(scores)), abs=0.03)


def other_test_truth(root: Path, task: str) -> None:
    table = manifest.read(Workspace(root).manifest(task))
    test = (table["split"] == "test").to_numpy()
    if task == "idrid":
        grade = table["dme_grade"].to_numpy(dtype=np.int8).copy()
        grade[test] = (grade[test] + 1) % 3
        prepared.change(root, task, dme_grade=grade)
    else:
        for path in table["mask_path"][test]:
            Image.fromarray(255 - read_mask(root / path)).save(root / path)


@pytest.mark.parametrize("task", ["idrid", "drive"])
def test_test_labels_change_test_results_alone(task: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    first: Workspace = request.getfixturevalue(task)
    shutil.copytree(first.root / "data", tmp_path / "data")
    other_test_truth(tmp_path, task)
    second = Workspace(tmp_path)
    finetune.run(options(tmp_path, IDRID if task == "idrid" else DRIVE))
    models = [load_file(one.finetune(task, "random") / "seed0/model.safetensors") for one in (first, second)]
    assert all(torch.equal(models[0][key], models[1][key]) for key in models[0])
    assert values(first, task, "val") == values(second, task, "val")
    logs = [read_log(one.finetuning(task, "random", "seed0").folder) for one in (first, second)]
    assert [line.get("validation") for line in logs[0]] == [line.get("validation") for line in logs[1]]
    measure = "joint_accuracy" if task == "idrid" else "f1"
    assert values(second, task, "test")[measure] < values(first, task, "test")[measure] - 0.3
    rows = [read(one, task, "predictions", "seed0") for one in (first, second)]
    if task == "idrid":
        assert rows[0]["prediction"].tolist() == rows[1]["prediction"].tolist()
    else:
        for path in rows[0]["map_path"]:
            assert (first.root / path).read_bytes() == (second.root / path).read_bytes()


def test_done_runs_are_kept_and_others_refused(idrid: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "training_steps", None)
    path = idrid.finetune("idrid", "random") / "results.parquet"
    before = path.read_bytes()
    assert finetune.run(options(idrid.root, IDRID, seeds=2, workers=1)) == path and path.read_bytes() == before
    with pytest.raises(SwclError, match=r"made differently \(learning_rate: 0.03 -> 0.1\).*--fresh.*--name"):
        finetune.run(options(idrid.root, IDRID, learning_rate=0.1))
