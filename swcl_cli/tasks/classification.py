"""Classification with one linear head a label, jointly (paper IV-B; FACTS E4, E12)."""

from __future__ import annotations

from collections.abc import Mapping
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
from swcl_cli.catalogue.tasks import Task
from swcl_cli.data import manifest
from swcl_cli.data.augment import center_view, classification_view
from swcl_cli.data.colour import Colour
from swcl_cli.data.loaders import Key, epoch_plan, make_loader
from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.class_measures import any_grade, class_measures, specific_threshold
from swcl_cli.evaluation.resampling import evaluate, intervals
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.heads import JointHeads
from swcl_cli.settings import FinetuneSettings, prep_command
from swcl_cli.tasks.trial import Judgement, Trial, require_finite, splits_of
from swcl_cli.workspace import Workspace

RESIZE = 256 / 224  # shorter side at test, in crops (paper IV-B)
TEST_BATCH = 32

Labels = dict[str, NDArray[np.int64]]
Scores = dict[str, NDArray[np.float32]]


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

    def __init__(self, photographs: Photographs, labels: Labels, crop: int, seed: int, colours: Any) -> None:
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
        return test_view(self.photographs.read(key[1]), self.crop, *self.colours)


def test_view(image: NDArray[np.uint8], crop: int, mean: Colour, std: Colour) -> NDArray[np.float32]:
    return center_view(image, round(crop * RESIZE), crop, mean, std)


def prepare(
    task: Task,
    settings: FinetuneSettings,
    workspace: Workspace,
    seed: int,
    encoder: nn.Module,
    channels: int,
    mean: Colour,
    std: Colour,
    splits: Mapping[str, pd.DataFrame] | None = None,
) -> Trial:
    """splits: rows of the manifest, in place of its own. Raises SwclError where a label is missing or out of range."""
    path = workspace.manifest(task.dataset)
    columns = ["split", "image_id", "patient_id", "path", "checksum", *task.heads]
    rows = splits or splits_of(manifest.read(path, columns=columns))
    labels = {split: _labels(table, task, path) for split, table in rows.items()}
    photographs = {split: Photographs.of(workspace, table) for split, table in rows.items()}
    with keyed_weights(seed, "head weights"):
        network = JointClassifier(encoder, JointHeads(channels, task.heads))
    plan, steps = epoch_plan(seed, "image order", len(rows["train"]), settings.batch, padded=False)

    def scores_of(fabric: Fabric, split: str) -> Scores:
        views = TestViews(photographs[split], settings.crop, (mean, std))
        return _predict(fabric, network, views, len(rows[split]), settings.workers)

    def judge(fabric: Fabric, split: str, folder: Path | None) -> Judgement:
        scores = scores_of(fabric, split)
        if folder is None:
            values, reasons = evaluate(class_measures(labels[split], scores), len(rows[split]))
            return Judgement(values, reasons=reasons)
        chosen_on = scores if split == "val" else scores_of(fabric, "val")
        thresholds = {
            head: specific_threshold(labels["val"][head] > 0, any_grade(chosen_on[head])) for head in task.heads
        }
        measures = class_measures(labels[split], scores, thresholds)
        values, reasons = evaluate(measures, len(rows[split]))
        found = intervals(measures, rows[split]["patient_id"].to_numpy(dtype=str), settings.seed)
        return Judgement(values, found, _rows(rows[split], labels[split], scores), reasons)

    views = TrainViews(photographs["train"], labels["train"], settings.crop, seed, (mean, std))
    return Trial(network, network, views, plan, steps, {split: len(table) for split, table in rows.items()}, judge)


def _labels(rows: pd.DataFrame, task: Task, path: Path) -> Labels:
    """The classes of each head. Raises SwclError that names the file, the photograph and its label."""
    labels = {}
    for head, classes in task.heads.items():
        class_of = np.array(task.grades.get(head, range(classes)))
        grades = rows[head].to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = np.flatnonzero(~((grades >= 0) & (grades < len(class_of))))
        if len(wrong):
            first = rows.iloc[wrong[0]]
            raise SwclError(
                f"{path}: {first['image_id']} has {head} = {first[head]}; {task.name} needs 0 to {len(class_of) - 1}. "
                f"Put the label file right, then run `{prep_command(task.dataset)}` again."
            )
        labels[head] = class_of[grades.astype(np.int64)]
    return labels


@torch.inference_mode()
def _predict(fabric: Fabric, network: JointClassifier, views: TestViews, count: int, workers: int) -> Scores:
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
    scores = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for answers in scores.values():
        require_finite(answers)
    return scores


def _rows(rows: pd.DataFrame, truths: Labels, scores: Scores) -> pd.DataFrame:
    """One row an image and head."""
    parts = [
        rows[["image_id", "patient_id", "path"]].assign(
            head=name, truth=truths[name], prediction=part.argmax(axis=1), probabilities=list(part)
        )
        for name, part in scores.items()
    ]
    return pd.concat(parts, ignore_index=True)
