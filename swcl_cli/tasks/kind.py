"""Define what a kind of task provides: labels to learn, network, training views, judgement and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.augment import View
from swcl_cli.data.columns import OF_RUN, Columns
from swcl_cli.errors import Diverged
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.answer import Answer, Record
from swcl_cli.tasks.saved import Description, Study


@dataclass(frozen=True)
class Judgement:
    """Hold the measures of a split (shares, not percent, or errors of numbers in their unit), 95 % intervals over
    patients, one row of predictions for each image and head, for each measure that is not a number the reason, and the
    columns that predictions are written with.

    facts: what the model file tells beside those of `Kind.facts`, since it is known at the end alone. loss: the mean
    over photographs of the cross-entropy; of epochs with equal measures the lowest decides. Of a kind
    that gives none the first epoch is kept.
    """

    measures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    reasons: dict[str, str] = field(default_factory=dict)
    columns: Columns = OF_RUN
    loss: float = float("nan")
    facts: dict[str, Any] = field(default_factory=dict)


class Kind(Protocol):
    """Define a kind of task. To add one: a subclass in a file of its own, and a line in KINDS (tasks/__init__.py).

    An object of it has no state: what a trained network needs beside its weights are `facts`, numbers, words and lists
    in its model file. A model file that lacks one of `saves` can't be used.
    """

    batch: int = 1  # photographs that are scored at once: more than 1 needs views of one size
    saves: tuple[str, ...] = ()

    def columns(self, task: Task) -> list[str]:
        """Name the columns of the manifest that are learnt."""
        ...

    def usable(self, task: Task, table: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which of people's own photographs (N,) can be learnt: those that lack none of the columns."""
        known: NDArray[np.bool_] = table[self.columns(task)].notna().all(axis=1).to_numpy(dtype=bool)
        return known

    def strata(self, task: Task) -> list[str]:
        """Name the columns that folds and parts are stratified on."""
        return []

    def require_settings(self, settings: FinetuneSettings) -> None:
        """Raise UsageError where a setting was chosen that this kind does not have."""
        return

    def require(self, study: Study) -> None:
        """Raise SwclError where the rows can't be learnt or judged. No split is empty."""

    def cautions(self, study: Study) -> list[str]:
        """Return warnings about the rows, a sentence each."""
        return []

    def facts(self, task: Task, settings: FinetuneSettings) -> dict[str, Any]:
        """Return the facts of this kind that the model file holds beside the fields of every Description."""
        return {}

    def learnt(self, study: Study) -> dict[str, Any]:
        """Return further facts for the model file, which the training photographs tell."""
        return {}

    def require_encoder(self, initial: Initial, settings: FinetuneSettings) -> None:
        """Raise UsageError where the encoder can't take the views."""
        return

    def output_stride(self, facts: Mapping[str, Any]) -> int:
        """Return the output stride that the network's encoder must have."""
        return 32

    def network(self, encoder: nn.Module, heads: Mapping[str, int], facts: Mapping[str, Any]) -> nn.Module:
        """Build the network that is trained, saved and loaded; its new weights are drawn from torch's generator."""
        ...

    def objective(self, network: nn.Module, study: Study) -> nn.Module:
        """Build a module that maps a batch of the study's training views to (loss, metrics)."""
        ...

    def training_views(self, study: Study, model: Description, seed: int) -> Dataset[dict[str, Any]]:
        """Return a data set of training views: (epoch, item) -> a photograph's view and labels, keyed by the seed."""
        ...

    def view(self, photograph: NDArray[np.uint8], model: Description) -> View:
        """Turn a prepared photograph (H, W, 3) into the network's input: float32 (3, h, w)."""
        ...

    def scores(self, fabric: Fabric, network: nn.Module, views: Tensor, model: Description) -> list[Any]:
        """Score views (N, 3, h, w) by the network in evaluation mode; return the scores of each view."""
        ...

    def judge(
        self, study: Study, split: str, scores_of: Callable[[str], Iterable[Any]], folder: Path | None
    ) -> Judgement:
        """Compare scores with labels. scores_of(split): the scores of its photographs, in the order of its rows.

        Where `folder` is given, intervals and predictions are filled in, with the columns that predictions have;
        maps go to its `maps/`, as PNGs that a column `map_path` of the predictions names.
        """
        ...

    def mean(self, scores: list[Any], model: Description) -> Any:
        """Average the scores of a photograph by several models of one task, as their probabilities are averaged."""
        return scores[0] if len(scores) == 1 else np.mean(scores, axis=0)

    def answer(self, scores: Any, size: tuple[int, int], model: Description) -> Answer:
        """Turn the scores of a photograph into an answer. size: its own width and height."""
        ...

    def legend(self, model: Description) -> list[str]:
        """Explain answers whose names do not say what they mean, a sentence each."""
        return []

    def record(self, answer: Answer, name: str, model: Description) -> Record:
        """Return what `predict` writes about a photograph of this name."""
        ...


def require_finite(scores: NDArray[np.float32]) -> None:
    """Raise Diverged where a score is not finite."""
    if not np.isfinite(scores).all():
        raise Diverged("The network's answers are not finite: lower --learning-rate, or use --precision fp32.")
