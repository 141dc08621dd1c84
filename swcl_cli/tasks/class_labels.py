"""Read the labels of a study's photographs as arrays, and check that they can be learnt."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.labels import JOINT, PATIENT, SEVERAL
from swcl_cli.catalogue.tasks import Task
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.class_measures import is_known
from swcl_cli.settings import prep_command
from swcl_cli.tasks.number_labels import Scales, numbers_of, require_numbers, standardised
from swcl_cli.tasks.saved import Study

MISSING = -1  # in place of a class: nobody knows

# By head: (N,) classes; of several signs at once (N, K), 0 or 1; numbers (N,), NaN where nobody knows.
Labels = dict[str, NDArray[Any]]
Scores = dict[str, NDArray[np.float32]]  # probabilities by head; of a number the answer (N, 1)


def labels_of(study: Study, split: str) -> Labels:
    """Return the classes (N,) of each head, of several at once (N, K), MISSING where people's own is not known; of a
    number (N,) with NaN in its place.

    Raises SwclError, with the file, the photograph and its label, where a label is out of range.
    """
    task, rows = study.task, study.rows[split]
    labels: Labels = {}
    for head, classes in task.heads.items():
        if head in task.numbers:
            labels[head] = numbers_of(rows, head)
            continue
        if head in task.own:
            labels[head] = _codes(task, rows[head], head)
            if foreign := rows.loc[~is_known(labels[head]) & rows[head].notna(), head].tolist():
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


def once_a_patient(task: Task, rows: pd.DataFrame, truths: Labels, scores: Scores) -> tuple[Labels, Scores]:
    """Score labels of patients once: by the mean of the probabilities, or numbers, of all of a patient's photographs.

    It stands with the first of these that is in the rows; for the others the label is MISSING, or NaN. Of a patient
    with different numbers, as of an age at several visits, each is scored by the photographs that have it.
    """
    truths, scores = dict(truths), dict(scores)
    for head in (head for head, label in task.described.items() if label.of == PATIENT):
        number = truths[head] if head in task.numbers else np.zeros(len(rows))
        patient = pd.DataFrame({"patient": rows["patient_id"].to_numpy(dtype=str), "number": number})
        patient = patient.groupby(["patient", "number"], dropna=False, sort=False).ngroup().to_numpy()
        first = np.unique(patient, return_index=True)[1]
        means = pd.DataFrame(scores[head].astype(np.float64)).groupby(patient).mean().to_numpy(dtype=np.float32)
        alone = np.full_like(truths[head], np.nan if head in task.numbers else MISSING)
        alone[first] = truths[head][first]
        truths[head], scores[head] = alone, means[patient]
    return truths, scores


def balanced(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return the weight (K,) of each class in its loss, by its rarity: as scikit-learn's `balanced`.

    labels: (N,), of which MISSING does not count; of (N, K) signs the weight of a sign's presence against its absence.
    A class that does not occur weighs 1, and so does a sign that all or none have.
    """
    rows = labels[is_known(labels)]
    if labels.ndim == 1:
        counts = np.bincount(rows, minlength=classes)
        weights = len(rows) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    else:
        counts = rows.sum(axis=0)
        weights = (len(rows) - counts) / np.maximum(counts, 1)
    return np.where((counts == 0) | (weights == 0), 1, weights).astype(np.float32)


def losses_of(truths: Labels, scores: Scores, scales: Scales = MappingProxyType({})) -> float:
    """Return the mean over photographs of the sum over heads of the cross-entropy, from probabilities (N, K).

    Of several signs at once it is the mean over signs, of a number the squared error on its scale. A probability that
    fp32 rounds to 0 counts as the smallest one above it; a label that is not known adds nothing.
    """
    smallest = np.finfo(np.float32).tiny
    losses = []
    for head, part in scores.items():
        truth = truths[head]
        if head in scales:
            errors = standardised(part[:, 0].astype(np.float64), scales[head]) - standardised(truth, scales[head])
            losses.append(np.where(is_known(truth), errors**2, 0.0))
            continue
        true = part[np.arange(len(part)), truth] if truth.ndim == 1 else np.where(truth > 0, part, 1 - part)
        loss = -np.log(np.maximum(true, smallest), dtype=np.float64)
        losses.append(np.where(is_known(truth), loss if truth.ndim == 1 else loss.mean(axis=1), 0.0))
    return float(np.sum(losses, axis=0).mean())


def _codes(task: Task, column: pd.Series, head: str) -> NDArray[np.int64]:
    """Return the numbers (N,) of the classes in a column of people's own, MISSING where there is none.

    Of several signs at once: (N, K), 1 where a sign is.
    """
    names = task.own[head].names
    if task.own[head].kind == SEVERAL:
        codes, texts = pd.factorize(column)
        signs = [set(str(text).split(JOINT)) - {""} for text in texts]
        of_texts = [
            [int(name in there) for name in names] if there <= set(names) else [MISSING] * len(names) for there in signs
        ]
        table = np.array([*of_texts, [MISSING] * len(names)], np.int64)
        signs_of: NDArray[np.int64] = table[codes]  # codes are -1 where there is no text
        return signs_of
    places = {name: number for number, name in enumerate(names)}
    numbers: NDArray[np.int64] = column.map(places).to_numpy(dtype=np.float64, na_value=MISSING).astype(np.int64)
    return numbers


def named(task: Task, head: str, number: int) -> str:
    """Write a class of a head: its name, or its number where it has none."""
    return f"'{task.own[head].names[number]}'" if head in task.own else str(number)


def classes_of(task: Task, rows: pd.DataFrame, head: str) -> set[int]:
    """Return the classes of a head, or the signs, that occur in the rows."""
    if head in task.own:
        numbers = _codes(task, rows[head], head)
        return {*(numbers if numbers.ndim == 1 else np.nonzero(numbers == 1)[1]).tolist()} - {MISSING}
    grades = dict(enumerate(task.grades.get(head, ())))
    return {grades.get(int(label), int(label)) for label in rows[head].dropna().unique()}


def require_two_classes(study: Study, head: str) -> None:
    """Raise SwclError where the training rows have one class, or the validation rows do and the measure is the AUC.

    Of several signs at once one is enough in each of them; of numbers see `require_numbers`.
    """
    task = study.task
    if head in task.numbers:
        require_numbers(study, head)
        return
    for split, rows in study.rows.items():
        classes = classes_of(task, rows, head)
        if not classes and head in task.own:
            raise SwclError(
                f"No {split} photograph of {task.dataset} has a {head}: say which do, by {prep_command(task.dataset)} "
                f"--split-file, or leave it out by --heads."
            )
        if head in task.own and task.own[head].kind == SEVERAL:
            continue
        if len(classes) == 1 and (split == "train" or (split == "val" and task.measure == "auc")):
            raise SwclError(
                f"All {int(rows[head].notna().sum()):,} {split} photographs of {task.dataset} have class "
                f"{named(task, head, classes.pop())} of {head}: two classes are needed. See "
                f"{prep_command(task.dataset)} --split-file, or a larger --fraction."
            )
