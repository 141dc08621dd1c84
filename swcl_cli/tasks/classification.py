"""Classify photographs with a linear head for each label, trained jointly (paper IV-B; FACTS E4, E12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
from swcl_cli.data.augment import View, center_view, classification_view, padded_view, squashed_view
from swcl_cli.data.columns import classified
from swcl_cli.data.loaders import Key
from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.evaluation.class_measures import any_grade, class_measures, specific_threshold
from swcl_cli.evaluation.intervals import intervals
from swcl_cli.evaluation.resampling import evaluate
from swcl_cli.models.asking import channels_of, require_size
from swcl_cli.models.heads import JointHeads
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings, prep_command
from swcl_cli.tasks.answer import Answer, Record
from swcl_cli.tasks.kind import Judgement, Kind, require_finite
from swcl_cli.tasks.saved import Description, Study

RESIZE = 256 / 224  # shorter side at test, in crops (paper IV-B)
MISSING = -1  # in place of a class: nobody knows

Labels = dict[str, NDArray[np.int64]]
Scores = dict[str, NDArray[np.float32]]  # probabilities by head


class JointClassifier(nn.Module):
    """Join encoder and heads; the loss is the sum over heads of the mean cross-entropy of the labels that are known."""

    def __init__(self, encoder: nn.Module, heads: JointHeads) -> None:
        super().__init__()
        self.encoder, self.heads = encoder, heads

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, and no metrics. batch: image (N, 3, S, S), and labels (N,) by head, or MISSING."""
        logits = self.heads(self.encoder(batch["image"]))
        losses = [_known_cross_entropy(logits[name].float(), batch["labels"][name]) for name in logits]
        return torch.stack(losses).sum(), {}

    def probabilities(self, images: Tensor) -> dict[str, Tensor]:
        """Return the probabilities (N, K) of each head's K classes, of images (N, 3, S, S)."""
        return {name: logits.float().softmax(dim=1) for name, logits in self.heads(self.encoder(images)).items()}


def _known_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of the labels (N,) that are known; 0 where none is, with gradients of 0."""
    if (labels == MISSING).all():
        return logits.sum() * 0
    return cross_entropy(logits, labels, ignore_index=MISSING)


class TrainViews(Dataset[dict[str, Any]]):
    """Draw training views: (epoch, item) -> image float32 (3, S, S) and its labels."""

    def __init__(self, photographs: Photographs, labels: Labels, crop: int, seed: int, colours: Any) -> None:
        self.photographs, self.labels, self.crop, self.seed, self.colours = photographs, labels, crop, seed, colours

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, item = key
        draw = chance.generator(self.seed, "classification view", epoch, item)
        image = classification_view(self.photographs.read(item), self.crop, draw, *self.colours)
        return {"image": image, "labels": {name: int(label[item]) for name, label in self.labels.items()}}


class Classification(Kind):
    """Learn labels of whole photographs: each head is a column of the manifest, with grades or classes.

    Where photographs lack a label of people's own, they teach and test the other heads alone.
    """

    batch = 32
    saves = ("grades",)

    def columns(self, task: Task) -> list[str]:
        return list(task.heads)

    def usable(self, task: Task, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which photographs (N,) lack no label but people's own, of which they have one at least."""
        own = list(task.own)
        known = table[[head for head in task.heads if head not in own]].notna().all(axis=1).to_numpy(dtype=bool)
        usable: NDArray[np.bool_] = known & table[own].notna().any(axis=1).to_numpy(dtype=bool) if own else known
        return usable

    def strata(self, task: Task) -> list[str]:
        return sorted(task.heads, key=lambda head: head in task.own)

    def require(self, study: Study) -> None:
        """Raise SwclError where a split that needs two classes has one, or none; or a label is out of range."""
        for head in study.task.heads:
            _require_two_classes(study, head)
        for split in study.rows:
            labels_of(study, split)

    def cautions(self, study: Study) -> list[str]:
        """Name the classes that can't be learnt, since they have no training photograph."""
        task, train = study.task, study.rows["train"]
        sentences = []
        for head, count in task.heads.items():
            absent = sorted(set(range(count)) - _classes(task, train, head))
            if absent:
                named = ", ".join(_named(task, head, number) for number in absent)
                told = ""
                if head in task.own:
                    told = f" Move some into train, or prepare {task.dataset} again with --label {head}=classes:..."
                sentences.append(
                    f"{head}: no training photograph of {task.dataset} has class {named}, so none is predicted.{told}"
                )
        return sentences

    def require_settings(self, settings: FinetuneSettings) -> None:
        """Raise UsageError where a setting is of masks."""
        if settings.focus:
            raise UsageError(f"--focus is for masks: {settings.task} learns labels of whole photographs.")
        if settings.loss != "cross-entropy":
            raise UsageError(f"--loss {settings.loss} is for masks: {settings.task} learns labels, by cross-entropy.")

    def facts(self, task: Task, settings: FinetuneSettings) -> dict[str, Any]:
        classes = {"classes": {head: list(label.names) for head, label in task.own.items()}} if task.own else {}
        return {"grades": dict(task.grades), "fit": settings.fit, **classes}

    def require_encoder(self, initial: Initial, settings: FinetuneSettings) -> None:
        require_size(initial.encoder, initial.architecture, settings.crop, "views")

    def network(self, encoder: nn.Module, heads: Mapping[str, int], facts: Mapping[str, Any]) -> JointClassifier:
        return JointClassifier(encoder, JointHeads(channels_of(encoder), heads))

    def objective(self, network: nn.Module, settings: FinetuneSettings) -> nn.Module:
        """Return the network itself, which computes its own loss."""
        return network

    def training_views(self, study: Study, model: Description, seed: int) -> TrainViews:
        photographs = Photographs.of(study.workspace, study.rows["train"])
        return TrainViews(photographs, labels_of(study, "train"), model.crop, seed, (model.mean, model.std))

    def view(self, photograph: NDArray[np.uint8], model: Description) -> View:
        """Bring a photograph to a square: float32 (3, S, S). Where the model tells no `fit`, its centre (FACTS E15)."""
        fit = model.facts.get("fit", "crop")
        if fit == "pad":
            return padded_view(photograph, model.crop, model.mean, model.std)
        if fit == "squash":
            return squashed_view(photograph, model.crop, model.mean, model.std)
        return center_view(photograph, round(model.crop * RESIZE), model.crop, model.mean, model.std)

    def scores(self, fabric: Fabric, network: nn.Module, views: Tensor, model: Description) -> list[Scores]:
        with fabric.autocast():
            scores: dict[str, Tensor] = network.probabilities(views)  # type: ignore[operator]
        by_head = {head: part.cpu().numpy() for head, part in scores.items()}
        return [{head: part[item] for head, part in by_head.items()} for item in range(len(views))]

    def judge(
        self, study: Study, split: str, scores_of: Callable[[str], Iterable[Scores]], folder: Path | None
    ) -> Judgement:
        task, rows, labels, scores = study.task, study.rows[split], labels_of(study, split), _joined(scores_of(split))
        own = {head: label.names for head, label in task.own.items()}
        unordered = {head for head, label in task.own.items() if label.kind == "classes"}
        if folder is None:
            values, reasons = evaluate(class_measures(labels, scores, None, own, unordered), len(rows))
            return Judgement(values, reasons=reasons, loss=cross_entropies(labels, scores))
        on_validation = scores if split == "val" else _joined(scores_of("val"))
        validated = labels_of(study, "val")
        thresholds = {}
        for head in task.heads:
            known = validated[head] != MISSING
            thresholds[head] = specific_threshold(validated[head][known] > 0, any_grade(on_validation[head][known]))
        measures = class_measures(labels, scores, thresholds, own, unordered)
        values, reasons = evaluate(measures, len(rows))
        ranges = intervals(measures, rows["group_id"].to_numpy(dtype=str))
        return Judgement(values, ranges, _predictions(task, rows, labels, scores), reasons, classified(bool(own)))

    def answer(self, scores: Scores, size: tuple[int, int], model: Description) -> Answer:
        """Return the most probable class of each head, by its name if it has one, and the probability of each class."""
        ordered, names = {head: scores[head] for head in model.heads}, model.facts.get("classes", {})
        numbers = {head: int(part.argmax()) for head, part in ordered.items()}
        classes = {head: names[head][number] if head in names else number for head, number in numbers.items()}
        return Answer(*size, classes, ordered)

    def legend(self, model: Description) -> list[str]:
        """Explain classes that join grades: `dr_grade: class 0 is 0 or 1, class 1 is 2 or 3.`"""
        sentences = []
        for head, class_of in model.facts["grades"].items():
            members = {number: [grade for grade, cls in enumerate(class_of) if cls == number] for number in class_of}
            words = [f"class {number} is {' or '.join(map(str, members[number]))}" for number in sorted(members)]
            sentences.append(f"{head}: {', '.join(words)}.")
        return sentences

    def record(self, answer: Answer, name: str, model: Description) -> Record:
        cells: dict[str, Any] = {}
        for head, probabilities in answer.probabilities.items():
            cells[head] = answer.classes[head]
            names = model.facts.get("classes", {}).get(head, range(len(probabilities)))
            cells |= {f"{head}_{name}": f"{each:.6f}" for name, each in zip(names, probabilities, strict=True)}
        return Record(cells)


def labels_of(study: Study, split: str) -> Labels:
    """Return the classes (N,) of each head, MISSING where a label of people's own is not known.

    Raises SwclError, with the file, the photograph and its label, where a label is out of range.
    """
    task, rows, labels = study.task, study.rows[split], {}
    for head, classes in task.heads.items():
        if head in task.own:
            labels[head] = _numbers(task, rows[head], head)
            if foreign := rows.loc[(labels[head] == MISSING) & rows[head].notna(), head].tolist():
                raise SwclError(
                    f"{study.workspace.manifest(task.dataset)}: {head} holds '{foreign[0]}', which is none of its "
                    f"classes. Run `{prep_command(task.dataset)}` again."
                )
            continue
        class_of = np.array(task.grades.get(head, range(classes)))
        grades = rows[head].to_numpy(dtype=np.float64, na_value=np.nan)
        wrong = np.flatnonzero(~((grades >= 0) & (grades < len(class_of))))
        if len(wrong):
            first = rows.iloc[wrong[0]]
            raise SwclError(
                f"{study.workspace.manifest(task.dataset)}: {first['image_id']} has {head} = {first[head]}; "
                f"{task.name} needs 0 to {len(class_of) - 1}. "
                f"Put the label file right, then run `{prep_command(task.dataset)}` again."
            )
        labels[head] = class_of[grades.astype(np.int64)]
    return labels


def cross_entropies(truths: Labels, scores: Scores) -> float:
    """Return the mean over photographs of the sum over heads of the cross-entropy, from probabilities (N, K).

    A probability that fp32 rounds to 0 counts as the smallest one above it; a label that is MISSING adds nothing.
    """
    true = [
        np.where(truths[head] == MISSING, np.float32(1), part[np.arange(len(part)), truths[head]])
        for head, part in scores.items()
    ]
    smallest = np.finfo(np.float32).tiny
    return float(-np.log(np.maximum(true, smallest), dtype=np.float64).sum(axis=0).mean())


def _numbers(task: Task, column: pd.Series, head: str) -> NDArray[np.int64]:
    """Return the numbers (N,) of the classes in a column of people's own, MISSING where there is none."""
    places = {name: number for number, name in enumerate(task.own[head].names)}
    numbers: NDArray[np.float64] = column.map(places).to_numpy(dtype=np.float64, na_value=MISSING)
    return numbers.astype(np.int64)


def _named(task: Task, head: str, number: int) -> str:
    """Write a class of a head: its name, or its number where it has none."""
    return f"'{task.own[head].names[number]}'" if head in task.own else str(number)


def _classes(task: Task, rows: pd.DataFrame, head: str) -> set[int]:
    """Return the classes of a head that occur in the rows."""
    if head in task.own:
        return {*_numbers(task, rows[head], head).tolist()} - {MISSING}
    grades = dict(enumerate(task.grades.get(head, ())))
    return {grades.get(int(label), int(label)) for label in rows[head].dropna().unique()}


def _require_two_classes(study: Study, head: str) -> None:
    """Raise SwclError where the training rows have one class, or the validation rows do and the measure is the AUC."""
    task = study.task
    for split, rows in study.rows.items():
        classes = _classes(task, rows, head)
        if not classes and head in task.own:
            raise SwclError(
                f"No {split} photograph of {task.dataset} has a {head}: say which do, by {prep_command(task.dataset)} "
                f"--split-file, or leave it out by --heads."
            )
        if len(classes) == 1 and (split == "train" or (split == "val" and task.measure == "auc")):
            raise SwclError(
                f"All {int(rows[head].notna().sum()):,} {split} photographs of {task.dataset} have class "
                f"{_named(task, head, classes.pop())} of {head}: two classes are needed. See "
                f"{prep_command(task.dataset)} --split-file, or a larger --fraction."
            )


def _joined(scores: Iterable[Scores]) -> Scores:
    """Stack the scores of photographs: (N, K) of each head. Raises Diverged where they are not finite."""
    listed = list(scores)
    joined = {head: np.stack([photograph[head] for photograph in listed]) for head in listed[0]}
    for probabilities in joined.values():
        require_finite(probabilities)
    return joined


def _predictions(task: Task, rows: pd.DataFrame, truths: Labels, scores: Scores) -> pd.DataFrame:
    """Return the table of predictions, a row for each image and head of which the label is known."""
    parts = []
    for head, probabilities in scores.items():
        known = truths[head] != MISSING
        truth, said = truths[head][known], probabilities[known]
        part = rows.loc[known, ["image_id", "patient_id", "path"]].assign(
            head=head, truth=truth, prediction=said.argmax(axis=1), probabilities=list(said)
        )
        if task.own:
            names = np.array(task.own[head].names if head in task.own else range(probabilities.shape[1]), dtype=object)
            part = part.assign(
                true_class=names[truth].astype(str), predicted_class=names[part["prediction"]].astype(str)
            )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
