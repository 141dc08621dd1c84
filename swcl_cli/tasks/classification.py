"""Classification with one linear head a label, jointly (paper IV-B; FACTS E4, E12)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.data import manifest
from swcl_cli.data.augment import center_view, classification_view
from swcl_cli.data.colour import Colour
from swcl_cli.data.loaders import Key, epoch_plan, make_loader
from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.metrics import auc, bootstrap_interval, joint_accuracy, quadratic_kappa
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.heads import JointHeads
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import Task
from swcl_cli.tasks.trial import Judgement, Trial
from swcl_cli.workspace import Workspace

RESIZE = 256 / 224  # shorter side at test, in crops (paper IV-B)
TEST_BATCH = 32


class JointClassifier(nn.Module):
    """Encoder and heads; the loss is the sum over heads of the cross-entropy."""

    def __init__(self, encoder: nn.Module, heads: JointHeads) -> None:
        super().__init__()
        self.encoder, self.heads = encoder, heads

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """batch: image (N, 3, S, S), and a label (N,) a head."""
        logits = self.heads(self.encoder(batch["image"]))
        losses = [cross_entropy(logits[name].float(), batch["labels"][name]) for name in logits]
        return torch.stack(losses).sum(), {}

    def probabilities(self, images: Tensor) -> dict[str, Tensor]:
        return {name: logits.float().softmax(dim=1) for name, logits in self.heads(self.encoder(images)).items()}


class TrainViews(Dataset[dict[str, Any]]):
    """(epoch, item) -> image float32 (3, S, S) and its labels."""

    def __init__(
        self, photographs: Photographs, labels: dict[str, NDArray[np.int64]], crop: int, seed: int, colours: Any
    ) -> None:
        self.photographs, self.labels, self.crop, self.seed, self.colours = photographs, labels, crop, seed, colours

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, item = key
        draw = chance.generator(self.seed, "classification view", epoch, item)
        image = classification_view(self.photographs.read(item), self.crop, draw, *self.colours)
        return {"image": image, "labels": {name: int(label[item]) for name, label in self.labels.items()}}


class TestViews(Dataset[Any]):
    """(0, item) -> the central crop after a resize, float32 (3, S, S)."""

    def __init__(self, photographs: Photographs, crop: int, colours: Any) -> None:
        self.photographs, self.crop, self.colours = photographs, crop, colours

    def __getitem__(self, key: Key) -> Any:
        return center_view(self.photographs.read(key[1]), round(self.crop * RESIZE), self.crop, *self.colours)


def prepare(
    task: Task,
    settings: FinetuneSettings,
    workspace: Workspace,
    seed: int,
    encoder: nn.Module,
    channels: int,
    mean: Colour,
    std: Colour,
) -> Trial:
    """Raises SwclError where a label is missing or outside its head's range."""
    columns = ["split", "image_id", "patient_id", "path", *task.heads]
    table = manifest.read(workspace.manifest(task.dataset), columns=columns)
    _check(table, task, workspace.manifest(task.dataset))
    splits = {split: table[table["split"] == split].reset_index(drop=True) for split in ("train", "val", "test")}
    with keyed_weights(seed, "head weights"):
        network = JointClassifier(encoder, JointHeads(channels, task.heads))
    plan, steps = epoch_plan(seed, "image order", len(splits["train"]), settings.batch, padded=False)

    def judge(fabric: Fabric, split: str, folder: Path | None) -> Judgement:
        rows = splits[split]
        views = TestViews(Photographs.of(workspace, rows), settings.crop, (mean, std))
        probabilities = _predict(fabric, network, views, len(rows), settings.workers)
        truths = _labels(rows, task)
        measures = _measures(truths, probabilities)
        if folder is None:
            return Judgement(measures)
        right = np.logical_and.reduce([truths[name] == probabilities[name].argmax(axis=1) for name in truths])
        interval = bootstrap_interval(
            lambda drawn: float(right[drawn].mean()), rows["patient_id"].to_numpy(dtype=str), settings.seed
        )
        return Judgement(measures, {"joint_accuracy": interval}, _rows(rows, truths, probabilities))

    train = splits["train"]
    views = TrainViews(Photographs.of(workspace, train), _labels(train, task), settings.crop, seed, (mean, std))
    return Trial(network, network, views, plan, steps, {split: len(rows) for split, rows in splits.items()}, judge)


def _check(table: pd.DataFrame, task: Task, path: Path) -> None:
    for name, classes in task.heads.items():
        wrong = table[table[name].isna() | (table[name] < 0) | (table[name] >= classes)]
        if len(wrong):
            first = wrong.iloc[0]
            raise SwclError(
                f"{path}: {first['image_id']} has {name} = {first[name]}; {task.name} needs 0 to {classes - 1}."
            )


def _labels(rows: pd.DataFrame, task: Task) -> dict[str, NDArray[np.int64]]:
    return {name: rows[name].to_numpy(dtype=np.int64) for name in task.heads}


@torch.inference_mode()
def _predict(
    fabric: Fabric, network: JointClassifier, views: TestViews, count: int, workers: int
) -> dict[str, NDArray[np.float32]]:
    network.eval()
    batches = [
        [(0, item) for item in range(start, min(start + TEST_BATCH, count))] for start in range(0, count, TEST_BATCH)
    ]
    parts = []
    for images in make_loader(views, batches, workers):
        with fabric.autocast():
            parts.append(
                {name: part.cpu().numpy() for name, part in network.probabilities(fabric.to_device(images)).items()}
            )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _measures(truths: dict[str, NDArray[np.int64]], probabilities: dict[str, NDArray[np.float32]]) -> dict[str, float]:
    """Joint accuracy; of each head accuracy, quadratic kappa and the AUC of "any grade above 0"."""
    predicted = {name: scores.argmax(axis=1) for name, scores in probabilities.items()}
    measures = {"joint_accuracy": joint_accuracy(truths, predicted)}
    for name, truth in truths.items():
        measures[f"{name}_accuracy"] = float((truth == predicted[name]).mean())
        measures[f"{name}_kappa"] = quadratic_kappa(truth, predicted[name])
        measures[f"{name}_auc"] = auc(truth > 0, 1 - probabilities[name][:, 0])
    return measures


def _rows(rows: pd.DataFrame, truths: dict[str, Any], probabilities: dict[str, Any]) -> pd.DataFrame:
    """One row an image and head."""
    parts = [
        rows[["image_id", "patient_id", "path"]].assign(
            head=name, truth=truths[name], prediction=scores.argmax(axis=1), probabilities=list(scores)
        )
        for name, scores in probabilities.items()
    ]
    return pd.concat(parts, ignore_index=True)
