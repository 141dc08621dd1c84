"""The S4L objective against loops on a tiny network; validation, and which epoch is kept."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import normalize

from swcl_cli.data.labeler_views import UNLABELLED, read_photographs
from swcl_cli.data.manifest import read as read_manifest
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import create_labeler
from swcl_cli.settings import TrainLabelerSettings
from swcl_cli.steps import train_labeler
from swcl_cli.steps.train_labeler import S4L, pool_and_classify, validate
from swcl_cli.training.loop import make_fabric
from swcl_cli.workspace import Workspace, read_provenance, write_parquet
from tests import prepared

FABRIC = make_fabric("cpu", "fp32")


def options(root: Path = Path("."), **values: Any) -> TrainLabelerSettings:
    small = {"architecture": "resnet18", "crop": 32, "views": 2, "batch_labelled": 3, "batch_unlabelled": 2}
    run = {"workspace": root, "accumulate": 2, "epochs": 2, "milestones": [1], "workers": 0, "accelerator": "cpu"}
    return TrainLabelerSettings(**{**small, **run, **values})


class Tiny(nn.Module):
    """What S4L asks of a timm network, without batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.convolution, self.fc = nn.Conv2d(3, 5, 3), nn.Linear(5, 2)

    def forward_features(self, images: Tensor) -> Tensor:
        features: Tensor = self.convolution(images).relu()
        return features

    def forward_head(self, features: Tensor, pre_logits: bool) -> Tensor:
        assert pre_logits
        return features.mean(dim=(2, 3))


def batch_of(labels: list[int], views: int = 3) -> dict[str, Tensor]:
    drawn = torch.randn(len(labels), views, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    shift = torch.arange(len(labels)).reshape(-1, 1, 1, 1, 1) / 3  # views of an image are alike
    return {"views": drawn + shift, "label": torch.tensor(labels), "item": torch.arange(len(labels)) + 40}


def by_loops(network: Tiny, batch: dict[str, Tensor], weight: float, margin: float = 0.5) -> tuple[float, float, float]:
    pooled, label, item = [], [], []
    for number, views in enumerate(batch["views"]):
        for view in views:
            pooled.append(network.convolution(view).relu().mean(dim=(1, 2)))
            label.append(int(batch["label"][number]))
            item.append(int(batch["item"][number]))
    costs = []
    for row, wanted in zip(pooled, label, strict=True):
        if wanted != UNLABELLED:
            logits = (network.fc.weight @ row + network.fc.bias).tolist()
            costs.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[wanted])
    z = [normalize(row.detach(), dim=0) for row in pooled]
    gaps = []
    for a in range(len(z)):
        negatives = [float((z[a] - z[n]).square().sum()) for n in range(len(z)) if item[n] != item[a]]
        for p in range(len(z)):
            if p != a and item[p] == item[a]:
                near = float((z[a] - z[p]).square().sum())
                farther = [far for far in negatives if far > near]
                gaps.append(max(margin + near - (min(farther) if farther else max(negatives)), 0))
    classification, alike = sum(costs) / len(costs), sum(gaps) / len(gaps)
    return classification + weight * alike, classification, alike


@pytest.mark.parametrize("labels", [[0, 1, -1, -1, 1], [1, -1, -1], [0, 1]])
@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_objective_by_loops(labels: list[int], weight: float) -> None:
    network, batch = Tiny(), batch_of(labels)
    loss, metrics = S4L(network, options(triplet_weight=weight))(batch)
    expected = by_loops(network, batch, weight)
    got = (loss.item(), metrics["cross_entropy"].item(), metrics["triplet"].item())
    assert got == pytest.approx(expected, rel=1e-4) and got[2] > 0


def test_unlabelled_photographs_are_in_the_triplet_loss_alone() -> None:
    batch = batch_of([0, 1, -1, -1])
    other = {**batch, "views": batch["views"].clone()}
    other["views"][2:] = other["views"][2:].flip(-1) * 2
    plain, joint = S4L(Tiny(), options(triplet_weight=0)), S4L(Tiny(), options())
    assert plain(batch)[0].item() == plain(other)[0].item()
    assert joint(batch)[0].item() != joint(other)[0].item()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("labeler")
    prepared.labelled_eyes(root, "odir", 8)
    prepared.labelled_eyes(root, "eyepacs", 4, dr_grade=3)
    train_labeler.run(options(root))
    return Workspace(root)


def records(workspace: Workspace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workspace.run("train-labeler") / "log.jsonl").read_text().splitlines()]


def test_artefact(trained: Workspace) -> None:
    tensors, provenance = load_file(trained.labeler), read_provenance(trained.labeler)
    assert tensors.keys() == create_labeler("resnet18").state_dict().keys()
    assert provenance["labeler"] == {
        "architecture": "resnet18", "image_size": 64, "classes": ["normal", "abnormal"],
        "mean": [0.3219, 0.2259, 0.1633], "std": [0.3038, 0.2195, 0.1756],
    }  # fmt: skip
    assert provenance["inputs"].keys() == {"odir", "eyepacs"} and provenance["step"] == "train-labeler"
    assert provenance["validation"].keys() == {"auc", "auc_low", "auc_high", "best_auc", "best_epoch"}
    assert "workers" not in provenance["settings"] and str(trained.root) not in json.dumps(provenance)


def test_log(trained: Workspace) -> None:
    lines = records(trained)
    steps, epochs = [line for line in lines if "loss" in line], [line for line in lines if "epoch" in line]
    assert [line["step"] for line in steps] == list(range(4))  # 8 labelled, 3 a pass, 2 passes a step, 2 epochs
    assert [line["learning_rate"] for line in steps] == pytest.approx([0.03, 0.03, 0.003, 0.003])
    for line in steps:
        assert line["loss"] == pytest.approx(line["cross_entropy"] + line["triplet"], rel=1e-5)
    assert [(line["step"], line["epoch"]) for line in epochs] == [(1, 0), (3, 1)]
    assert epochs[-1]["auc"] == read_provenance(trained.labeler)["validation"]["auc"]


def test_validation_is_the_auc_of_central_squares(trained: Workspace) -> None:
    settings = options(trained.root)
    data = read_photographs(trained, settings)
    network = create_labeler("resnet18", seed=3)
    measured = validate(FABRIC, S4L(network, settings), data, settings)
    network.eval()
    scores = []
    for path in data.validation.path.to_pylist():
        image = np.asarray(prepared.Image.open(trained.root / path).convert("RGB")) / 255
        height, width = image.shape[:2]
        left = round((width - height) / 2)
        square = (image[:, left : left + height] - np.array(data.mean)) / np.array(data.std)
        with torch.inference_mode():
            _, logits = pool_and_classify(network, torch.tensor(square.transpose(2, 0, 1)[None], dtype=torch.float32))
        scores.append(float(logits.softmax(dim=1)[0, 1]))
    assert measured["auc"] == roc_auc_score(data.validation_abnormal, scores)
    assert measured["auc_low"] <= measured["auc"] <= measured["auc_high"]


def test_grades_of_the_unlabelled_set_change_nothing(trained: Workspace, tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 4)
    path = Workspace(tmp_path).manifest("eyepacs")
    write_parquet(path, pq.read_table(path).drop_columns(["abnormal", "dr_grade"]), read_provenance(path))
    train_labeler.run(options(tmp_path))
    first, second = load_file(trained.labeler), load_file(Workspace(tmp_path).labeler)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_done_work_is_kept_and_other_work_is_refused(trained: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = trained.labeler.read_bytes()
    monkeypatch.setattr(train_labeler, "training_steps", None)
    assert train_labeler.run(options(trained.root, workers=2)) == trained.labeler
    assert trained.labeler.read_bytes() == before
    with pytest.raises(SwclError, match=r"made differently \(epochs: 2 -> 3\).*--fresh"):
        train_labeler.run(options(trained.root, epochs=3))


@pytest.mark.parametrize(("keep", "epoch"), [("last", 3), ("best", 1)])
def test_last_or_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, epoch: int) -> None:
    """The fabricated AUC rises, falls, and comes back to its best, which is no new best."""
    curve, weights = iter([0.6, 0.8, 0.7, 0.8]), []

    def measured(fabric: Any, objective: S4L, *_: Any) -> dict[str, float]:
        weights.append({key: tensor.clone() for key, tensor in objective.network.state_dict().items()})
        return {"auc": next(curve), "auc_low": 0.5, "auc_high": 0.9}

    monkeypatch.setattr(train_labeler, "validate", measured)
    prepared.labelled_eyes(tmp_path, "odir", 8)
    settings = options(tmp_path, unlabelled=[], epochs=4, keep=keep, batch_labelled=8, accumulate=1)
    kept = load_file(train_labeler.run(settings))
    matching = [all(torch.equal(kept[key], one[key]) for key in kept) for one in weights]
    assert matching == [number == epoch for number in range(4)]
    noted = read_provenance(Workspace(tmp_path).labeler)["validation"]
    assert (noted["auc"], noted["best_auc"], noted["best_epoch"]) == (0.8, 0.8, 1)


def test_training_sees_the_validation_split_nowhere(trained: Workspace, tmp_path: Path) -> None:
    """Validation and test photographs of noise, under the same names, give the same weights."""
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 4)
    table = read_manifest(Workspace(tmp_path).manifest("odir"))
    for path in table["path"][table["split"] != "train"]:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        prepared.Image.fromarray(noise).save(tmp_path / path)
    train_labeler.run(options(tmp_path))
    first, second = load_file(trained.labeler), load_file(Workspace(tmp_path).labeler)
    assert all(torch.equal(first[key], second[key]) for key in first)
