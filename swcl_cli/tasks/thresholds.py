"""Keep and use the threshold of a probability that validation chose: above it a photograph is called positive."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swcl_cli.catalogue.labels import CLASSES, SEVERAL, Label
from swcl_cli.catalogue.tasks import CLASSIFICATION
from swcl_cli.errors import UsageError
from swcl_cli.evaluation.class_measures import any_grade
from swcl_cli.tasks.answer import Answer
from swcl_cli.tasks.saved import Description

KEY = "threshold_at_90"  # by head, in the model file: as the measure of this name in results.parquet
ABOVE = "_above"  # behind the head's name, in predictions


def kept_thresholds(thresholds: Mapping[str, Any], own: Mapping[str, Label]) -> dict[str, Any]:
    """Return the fact of a model file: thresholds of heads whose classes are ordered, or two, None where validation had
    no negatives; empty where there is no such head.
    """
    nominal = {head for head, label in own.items() if label.kind == CLASSES and label.classes > 2}
    several = {head for head, label in own.items() if label.kind == SEVERAL}
    others = {head: value for head, value in thresholds.items() if head not in nominal | several}
    ordered = {head: float(value) for head, value in others.items() if value is not None}  # numbers have none
    known = {head: value if math.isfinite(value) else None for head, value in ordered.items()}
    return {KEY: known} if known else {}


def thresholds_of(model: Description, path: Path, given: str | None, chosen: str) -> dict[str, float]:
    """Return the threshold of each head: `given`, a number, or where it is the word `chosen` the model's own.

    Empty where none is given. Raises UsageError where the model has no head with a threshold, or does not tell it.
    """
    if given is None:
        return {}
    if model.kind != CLASSIFICATION:
        raise UsageError(f"--threshold is for labels: {path} finds structures, whose probabilities --maps writes.")
    told = model.facts.get(KEY, {})
    if given == chosen:
        known = {head: float(value) for head, value in told.items() if value is not None}
        if not known:
            raise UsageError(
                f"--threshold {chosen}: {path} tells no threshold. Give a number, or make it again with this version: "
                "swcl finetune --fresh"
            )
        return known
    names = model.facts.get("classes", {})
    two = [head for head, count in model.heads.items() if count == 2 or (count > 2 and head not in names)]
    heads = [head for head in told or two if head not in model.facts.get(SEVERAL, ())]
    if not heads:
        raise UsageError(f"--threshold: {path} has no label whose classes are ordered, or two.")
    return dict.fromkeys(heads, float(given))


def above(answer: Answer, thresholds: Mapping[str, float]) -> dict[str, int]:
    """Return, as cells of a row, whether any class above the first is more probable than the threshold of its head."""
    scores = {head: float(any_grade(answer.probabilities[head][None])[0]) for head in thresholds}
    return {f"{head}{ABOVE}": int(scores[head] > threshold) for head, threshold in thresholds.items()}
