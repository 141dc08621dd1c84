"""Learn labels of photographs with a linear head for each, trained jointly (paper IV-B; FACTS E4, E12)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.catalogue.labels import JOINT, LABELS, PATIENT, SEVERAL, Label
from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.augment import View, center_view, classification_view, padded_view, squashed_view
from swcl_cli.data.loaders import Key
from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import UsageError
from swcl_cli.evaluation.class_measures import any_grade, class_measures, is_known, specific_threshold
from swcl_cli.evaluation.intervals import intervals
from swcl_cli.evaluation.resampling import evaluate
from swcl_cli.evaluation.sign_measures import best_thresholds
from swcl_cli.models.asking import channels_of, require_size
from swcl_cli.models.heads import JointHeads
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.answer import Answer, Record
from swcl_cli.tasks.class_labels import (
    Labels,
    Scores,
    balanced,
    classes_of,
    labels_of,
    losses_of,
    named,
    once_a_patient,
    require_two_classes,
)
from swcl_cli.tasks.class_predictions import columns_of, predicted_table
from swcl_cli.tasks.classifier import CORN, JointClassifier, classifier
from swcl_cli.tasks.kind import Judgement, Kind, require_finite
from swcl_cli.tasks.number_labels import NUMBERS, scales_of
from swcl_cli.tasks.saved import Description, Study
from swcl_cli.tasks.temperatures import TEMPERATURES, calibrated, chosen_temperatures
from swcl_cli.tasks.thresholds import kept_thresholds

RESIZE = 256 / 224  # shorter side at test, in crops (paper IV-B)
OF_PATIENTS = "of_patients"  # heads, in the model file
THRESHOLDS = "thresholds"  # above which a sign is there, in the model file


class TrainViews(Dataset[dict[str, Any]]):
    """Draw training views: (epoch, item) -> image float32 (3, S, S) and its labels."""

    def __init__(self, photographs: Photographs, labels: Labels, crop: int, seed: int, colours: Any) -> None:
        self.photographs, self.labels, self.crop, self.seed, self.colours = photographs, labels, crop, seed, colours

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, item = key
        draw = chance.generator(self.seed, "classification view", epoch, item)
        image = classification_view(self.photographs.read(item), self.crop, draw, *self.colours)
        return {"image": image, "labels": {name: label[item] for name, label in self.labels.items()}}


class Classification(Kind):
    """Learn labels of whole photographs: each head is a column of the manifest, with grades, classes or numbers.

    Where photographs lack a label of people's own, or a number, they teach and test the other heads alone.
    """

    batch = 32
    saves = ("grades",)

    def columns(self, task: Task) -> list[str]:
        return list(task.heads)

    def usable(self, task: Task, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which photographs (N,) lack no label but people's own and numbers, and have one at least."""
        free, whole = list(task.described), [head for head in task.heads if head not in task.described]
        known = table[whole].notna().all(axis=1).to_numpy(dtype=bool)
        usable: NDArray[np.bool_] = known & table[free].notna().any(axis=1).to_numpy(dtype=bool) if free else known
        return usable

    def strata(self, task: Task) -> list[str]:
        """Name the heads of one class or number, people's own last."""
        single = [head for head in task.heads if head not in _several(task.own)]
        return sorted(single, key=lambda head: head in task.described)

    def require(self, study: Study) -> None:
        """Raise SwclError where a split that needs two classes has one, or none; or a label is out of range.

        Raises UsageError where classes are to be weighed, or grades ordered, and there are none.
        """
        if study.settings.balance and len(study.task.numbers) == len(study.task.heads):
            raise UsageError(f"--balance weighs classes: {' and '.join(study.task.heads)} has none, being a number.")
        if study.settings.loss == CORN and not study.settings.probe and not _graded(study.task):
            raise UsageError(f"--loss {CORN} is for grades: {' and '.join(study.task.heads)} has none.")
        for head in study.task.heads:
            require_two_classes(study, head)
        for split in study.rows:
            labels_of(study, split)

    def cautions(self, study: Study) -> list[str]:
        """Name the classes that can't be learnt, since they have no training photograph."""
        task, train = study.task, study.rows["train"]
        sentences = []
        for head, count in task.heads.items():
            if head in task.numbers:
                continue
            absent = sorted(set(range(count)) - classes_of(task, train, head))
            if absent:
                words, told = ", ".join(named(task, head, number) for number in absent), ""
                if head in task.own:
                    kind = task.own[head].kind
                    told = f" Move some into train, or prepare {task.dataset} again with --label {head}={kind}:..."
                sentences.append(
                    f"{head}: no training photograph of {task.dataset} has class {words}, so none is predicted.{told}"
                )
        return sentences

    def require_settings(self, settings: FinetuneSettings) -> None:
        """Raise UsageError where a setting is of masks."""
        if settings.focus:
            raise UsageError(f"--focus is for masks: {settings.task} learns labels of whole photographs.")
        if settings.loss == "dice":
            raise UsageError(f"--loss dice is for masks: {settings.task} learns labels, by cross-entropy or corn.")

    def facts(self, task: Task, settings: FinetuneSettings) -> dict[str, Any]:
        facts: dict[str, Any] = {"grades": dict(task.grades), "fit": settings.fit}
        if task.own:
            facts["classes"] = {head: list(label.names) for head, label in task.own.items() if label.names}
        if of_patients := [head for head, label in task.described.items() if label.of == PATIENT]:
            facts[OF_PATIENTS] = of_patients
        if settings.loss == CORN and not settings.probe:
            facts[CORN] = _graded(task)
        return facts | ({SEVERAL: several} if (several := _several(task.own)) else {})

    def learnt(self, study: Study) -> dict[str, Any]:
        """Return the scales of numbers, of the training photographs."""
        return {NUMBERS: scales_of(study)} if study.task.numbers else {}

    def require_encoder(self, initial: Initial, settings: FinetuneSettings) -> None:
        require_size(initial.encoder, initial.architecture, settings.crop, "views")

    def network(self, encoder: nn.Module, heads: Mapping[str, int], facts: Mapping[str, Any]) -> JointClassifier:
        outputs = {head: count - 1 if head in facts.get(CORN, ()) else count for head, count in heads.items()}
        return classifier(encoder, JointHeads(channels_of(encoder), outputs), facts)

    def objective(self, network: nn.Module, study: Study) -> nn.Module:
        """Return the network itself, which computes its own loss."""
        assert isinstance(network, JointClassifier)
        if study.settings.balance:
            labels = labels_of(study, "train")
            classes = {head: count for head, count in study.task.heads.items() if head not in study.task.numbers}
            network.weights = {head: torch.from_numpy(balanced(labels[head], count)) for head, count in classes.items()}
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
        task, rows, known, said = study.task, study.rows[split], labels_of(study, split), _joined(scores_of(split))
        if folder is None:
            labels, scores = once_a_patient(task, rows, known, said)
            values, reasons = evaluate(class_measures(labels, scores, None, task.described), len(rows))
            return Judgement(values, reasons=reasons, loss=losses_of(labels, scores, scales_of(study)))
        several = _several(task.own)
        if study.thresholds is not None:
            labels, scores = once_a_patient(task, rows, known, said)  # of a model that has its temperatures
            temperatures, thresholds = dict[str, float](), study.thresholds
            before: Scores = {}
        else:
            of_val = (known, said) if split == "val" else (labels_of(study, "val"), _joined(scores_of("val")))
            temperatures = chosen_temperatures(*of_val, task.numbers)
            labels, before = once_a_patient(task, rows, known, said)
            _, scores = once_a_patient(task, rows, known, calibrated(said, temperatures, several))
            validated = of_val[0], calibrated(of_val[1], temperatures, several)
            thresholds = _thresholds(*once_a_patient(task, study.rows["val"], *validated), task.numbers)
        measures = class_measures(labels, scores, thresholds, task.described, before)
        values, reasons = evaluate(measures, len(rows))
        ranges = intervals(measures, rows["group_id"].to_numpy(dtype=str))
        predictions, columns = predicted_table(task, rows, labels, scores, thresholds), columns_of(task)
        if study.thresholds is not None:
            return Judgement(values, ranges, predictions, reasons, columns)
        chosen = {head: [float(each) for each in thresholds[head]] for head in several}
        facts = kept_thresholds(thresholds, task.own) | ({THRESHOLDS: chosen} if chosen else {})
        facts |= {TEMPERATURES: temperatures} if temperatures else {}
        return Judgement(values, ranges, predictions, reasons, columns, facts=facts)

    def mean(self, scores: list[Scores], model: Description) -> Scores:
        """Average probabilities, and numbers, of each head."""
        if len(scores) == 1:
            return scores[0]
        stacked = {head: np.stack([each[head] for each in scores]).astype(np.float64) for head in scores[0]}
        return {head: part.mean(axis=0).astype(np.float32) for head, part in stacked.items()}

    def answer(self, scores: Scores, size: tuple[int, int], model: Description) -> Answer:
        """Return the most probable class of each head, by its name if it has one, and the probability of each class.

        Of several signs at once the answer joins those that are more probable than their thresholds. Of a number it is
        this number.
        """
        numbers = {head: float(scores[head][0]) for head in model.heads if head in model.facts.get(NUMBERS, ())}
        ordered = {head: scores[head] for head in model.heads if head not in numbers}
        names = model.facts.get("classes", {})
        classes: dict[str, int | str] = {}
        for head, part in ordered.items():
            if head in model.facts.get(SEVERAL, ()):
                there = part > np.array(model.facts[THRESHOLDS][head])
                classes[head] = JOINT.join(name for name, sign in zip(names[head], there, strict=True) if sign)
            else:
                number = int(part.argmax())
                classes[head] = names[head][number] if head in names else number
        return Answer(*size, classes, ordered, numbers=numbers)

    def legend(self, model: Description) -> list[str]:
        """Explain labels of patients, and joined grades: `dr_grade: class 0 is 0 or 1, class 1 is 2 or 3.`"""
        sentences = [
            f"{head} is of a patient: what was evaluated is the mean of the "
            f"{'numbers' if head in model.facts.get(NUMBERS, ()) else 'probabilities'} of all of their photographs."
            for head in model.facts.get(OF_PATIENTS, ())
        ]
        for head, class_of in model.facts["grades"].items():
            members = {number: [grade for grade, cls in enumerate(class_of) if cls == number] for number in class_of}
            words = [f"class {number} is {' or '.join(map(str, members[number]))}" for number in sorted(members)]
            sentences.append(f"{head}: {', '.join(words)}.")
        return sentences

    def record(self, answer: Answer, name: str, model: Description) -> Record:
        cells: dict[str, Any] = {}
        for head in model.heads:
            if head in answer.numbers:
                cells[head] = f"{answer.numbers[head]:.6g}"
                continue
            probabilities = answer.probabilities[head]
            cells[head] = answer.classes[head]
            names = model.facts.get("classes", {}).get(head, range(len(probabilities)))
            cells |= {f"{head}_{name}": f"{each:.6f}" for name, each in zip(names, probabilities, strict=True)}
        return Record(cells)


def _graded(task: Task) -> list[str]:
    """List the heads of grades."""
    labels = {head: task.own.get(head) or LABELS.get(head) for head in task.heads}
    return [head for head, label in labels.items() if label and label.is_graded]


def _joined(scores: Iterable[Scores]) -> Scores:
    """Stack the scores of photographs: (N, K) of each head. Raises Diverged where they are not finite."""
    listed = list(scores)
    joined = {head: np.stack([photograph[head] for photograph in listed]) for head in listed[0]}
    for probabilities in joined.values():
        require_finite(probabilities)
    return joined


def _several(own: Mapping[str, Label]) -> list[str]:
    """List the heads of several signs at once."""
    return [head for head, label in own.items() if label.kind == SEVERAL]


def _thresholds(truths: Labels, scores: Scores, numbers: Collection[str]) -> dict[str, Any]:
    """Choose the thresholds of each head on validation: of several signs at once (K,), of numbers none, else one."""
    thresholds: dict[str, Any] = {}
    for head, truth in truths.items():
        rows = is_known(truth)
        if head in numbers:
            thresholds[head] = None
        elif truth.ndim == 1:
            thresholds[head] = specific_threshold(truth[rows] > 0, any_grade(scores[head][rows]))
        else:
            thresholds[head] = best_thresholds(truth[rows] > 0, scores[head][rows])
    return thresholds
