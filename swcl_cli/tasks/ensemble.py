"""Predict by several models of one task: by the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.unprepared import Form, Photograph
from swcl_cli.tasks.answer import Answer
from swcl_cli.tasks.classification import THRESHOLDS
from swcl_cli.tasks.predictor import Predictor
from swcl_cli.tasks.saved import Description
from swcl_cli.tasks.temperatures import TEMPERATURES
from swcl_cli.tasks.thresholds import KEY
from swcl_cli.workspace import fingerprint

OF_A_TRAINING = frozenset(
    {THRESHOLDS, KEY, TEMPERATURES, "numbers", "fit", "decoder", "output_stride", "corn"}
)  # facts that may differ


class Ensemble:
    """Answer as a `Predictor` does, by the mean of what several models of one task score; of one model what it scores.

    Thresholds are the means of those of the models. paths: the files of the models, for messages.
    Raises SwclError where models are of different tasks, UsageError where one is named twice.
    """

    def __init__(self, predictors: Sequence[Predictor], paths: Sequence[Path]) -> None:
        self.predictors, first = list(predictors), predictors[0]
        for predictor, path in zip(predictors[1:], paths[1:], strict=True):
            _require_alike(first.model, paths[0], predictor.model, path)
        prints = [fingerprint(path) for path in paths]
        if doubled := [path for place, path in enumerate(paths) if prints[place] in prints[:place]]:
            raise UsageError(f"{doubled[0]} is the same model as another one that is given: name each once.")
        self.kind, self.fabric = first.kind, first.fabric
        means = _mean_thresholds([predictor.model.facts for predictor in predictors])
        self.model = replace(first.model, facts={**first.model.facts, **means})

    def each(self, photographs: Sequence[Photograph], workers: int = 0) -> Iterator[Answer | Unusable]:
        """Predict each photograph of any kind; see `Predictor.each`."""
        streams = [predictor.scored(photographs, workers) for predictor in self.predictors]
        for parts in zip(*streams, strict=True):
            taken = parts[0][0]
            if isinstance(taken, Unusable):
                yield taken
            else:
                scores = self.kind.mean([scores for _, scores in parts], self.model)
                yield replace(self.kind.answer(scores, taken.size, self.model), notes=taken.notes)

    def scores(self, photographs: Photographs, form: Form, workers: int = 0) -> Iterator[Any]:
        """Score each photograph of a data set that was prepared in this form; see `Kind.scores`.

        A model of another form gets them prepared once more. Raises SwclError where one can't be read.
        """
        streams = [
            predictor.scores(photographs, workers)
            if predictor.model.form == form
            else _read_anew(predictor, photographs, workers)
            for predictor in self.predictors
        ]
        return (self.kind.mean(list(parts), self.model) for parts in zip(*streams, strict=True))

    def of_other_form(self, form: Form) -> bool:
        """Return whether photographs of this form are prepared once more for any of the models."""
        return any(predictor.model.form != form for predictor in self.predictors)


def _read_anew(predictor: Predictor, photographs: Photographs, workers: int) -> Iterator[Any]:
    files = [photographs.root / path for path in photographs.path.to_pylist()]
    for file, (taken, scores) in zip(files, predictor.scored(files, workers), strict=True):
        if isinstance(taken, Unusable):
            raise SwclError(f"{file}: {taken.problem}. Make it again with `swcl prep`.")
        yield scores


def _require_alike(model: Description, path: Path, other: Description, other_path: Path) -> None:
    """Raise SwclError where two models are of different tasks, or tell different classes."""

    def about(described: Description) -> dict[str, Any]:
        facts = {name: value for name, value in described.facts.items() if name not in OF_A_TRAINING}
        return {"task": described.task, "heads": dict(described.heads), **facts}

    first, second = about(model), about(other)
    unlike = [name for name in sorted({*first, *second}) if first.get(name) != second.get(name)]
    if unlike:
        told = f"tasks {model.task} and {other.task}" if "task" in unlike else f"different {', '.join(unlike)}"
        raise SwclError(f"{path} and {other_path} are of {told}: models that are given together are of one task.")


def _mean_thresholds(facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean of the models' thresholds, by fact and head; None where a model has none."""
    means: dict[str, Any] = {}
    for key in (THRESHOLDS, KEY):
        if all(key in each for each in facts):
            means[key] = {head: _mean([each[key][head] for each in facts]) for head in facts[0][key]}
    return means


def _mean(values: Sequence[Any]) -> Any:
    return None if None in values else np.mean(np.array(values, np.float64), axis=0).tolist()
