"""Hold everything that a workspace holds and the report speaks of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.labels import Label
from swcl_cli.reporting.evidence import columns
from swcl_cli.reporting.evidence.damage import failed, unusable
from swcl_cli.reporting.evidence.unfinished import Unfinished
from swcl_cli.workspace import PRETRAIN, RunName

T = TypeVar("T")


@dataclass(frozen=True)
class Artefact:
    """Describe a file of ours: its path in the workspace, its provenance, and the fingerprint of its bytes."""

    path: str
    provenance: dict[str, Any]
    fingerprint: str

    @property
    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.provenance.get("settings", {})
        return settings

    @property
    def inputs(self) -> dict[str, str]:
        """Return fingerprints by the input's name; `init` is that of the initial weights, or a tag of timm."""
        inputs: dict[str, str] = self.provenance.get("inputs", {})
        return inputs


@dataclass(frozen=True)
class DataSet:
    name: str
    artefact: Artefact
    images: pd.DataFrame
    problems: Counter[str]  # how often quarantine.csv lists each


@dataclass(frozen=True)
class Judged:
    """Hold the patches of a data set that lesion scores were judged on, and that alone."""

    artefact: Artefact
    patches: pd.DataFrame


@dataclass(frozen=True)
class Embedded:
    """Hold the rows of an embeddings.parquet without its vectors, the labels among their columns, and the shares of the
    variance along its principal axes.
    """

    rows: pd.DataFrame
    labels: list[Label]
    variance: list[float]


@dataclass(frozen=True)
class Elsewhere:
    """Hold the scores of models on a data set that they were not trained on: rows of RESULTS, whose split is `test`.

    models, photographs, patients: how many there are; left_out: what was not scored, a sentence each; replaced: the
    folder that models of their name are trained in, where it holds others now.
    """

    artefact: Artefact
    rows: pd.DataFrame
    dataset: str
    trained_on: list[str]
    models: int
    photographs: int
    patients: int
    left_out: list[str]
    replaced: str = ""


def _empty(names: tuple[str, ...] | list[str]) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame(columns=list(names))


@dataclass
class Contents:
    """Hold what was read from the workspace. `damaged` lists the files that could not be used, a line each."""

    root: Path
    phantom: bool
    datasets: dict[str, DataSet] = field(default_factory=dict)
    audit: Artefact | None = None
    pairs: pd.DataFrame = field(default_factory=_empty(columns.AUDIT.names))  # that the audit found, of what is here
    lying: dict[str, pd.DataFrame] = field(default_factory=dict)  # by data set, how its photographs lie, as audited
    quality: dict[str, pd.DataFrame] = field(default_factory=dict)  # of photographs, by data set
    labeler: Artefact | None = None
    labeler_scores: pd.DataFrame | None = None
    swap: Artefact | None = None
    patches: pd.DataFrame | None = None
    judged: dict[str, Judged] = field(default_factory=dict)  # by data set
    cams: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    encoders: dict[str, Artefact] = field(default_factory=dict)
    finetuned: dict[tuple[str, str], Artefact] = field(default_factory=dict)  # by task and name
    runs: dict[tuple[str, str, str], Artefact] = field(default_factory=dict)  # the same of single runs, where kept
    labels: dict[tuple[str, str], Label] = field(default_factory=dict)  # people's own, by task and head
    results: pd.DataFrame = field(default_factory=_empty(columns.RESULTS.names))
    classified: pd.DataFrame = field(default_factory=_empty(columns.CLASS_COLUMNS))
    numbers: pd.DataFrame = field(default_factory=_empty(columns.NUMBERS.names))  # predictions of them
    segmented: pd.DataFrame = field(default_factory=_empty(columns.SEGMENTED.names))
    grids: pd.DataFrame = field(default_factory=_empty(columns.GRID.names))
    elsewhere: list[Elsewhere] = field(default_factory=list)
    embedded: dict[str, Embedded] = field(default_factory=dict)  # by the name of their folder
    logs: dict[RunName, pd.DataFrame] = field(default_factory=dict)
    unfinished: list[Unfinished] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)  # runs of one name that were made differently
    repeated: list[str] = field(default_factory=list)  # runs that are stored twice with different values
    kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # by `once`

    @property
    def empty(self) -> bool:
        return not (self.artefacts() or self.embedded or self.elsewhere or self.logs or self.unfinished)

    @property
    def labeler_validation(self) -> dict[str, float]:
        """Return what the labeler's file says of its AUC on validation photographs; empty without a labeler."""
        measured: dict[str, float] = self.labeler.provenance.get("validation", {}) if self.labeler else {}
        return measured

    def pretraining_logs(self) -> dict[str, pd.DataFrame]:
        """Return the logs of pretraining by the encoder's name."""
        return {training.name: log for training, log in self.logs.items() if training.step == PRETRAIN}

    def artefacts(self) -> list[Artefact]:
        """Return all artefacts in the order in which they were made."""
        single = [artefact for artefact in (self.audit, self.labeler, self.swap) if artefact]
        prepared = [dataset.artefact for dataset in self.datasets.values()]
        judged = [each.artefact for each in self.judged.values()]
        return [*prepared, *single, *judged, *self.encoders.values(), *self.finetuned.values()]

    def once(self, name: str, compute: Callable[[Contents], T]) -> T:
        """Return what is computed of the contents, the first time it is asked for, under this name. A copy of the
        contents computes its own.
        """
        if name not in self.kept:
            self.kept[name] = compute(self)
        result: T = self.kept[name]
        return result

    def attempt(self, read: Callable[[], T], words: str = "", file: str = "") -> T | None:
        """Return what `read` returns, or None with a line in `damaged`: damage to one file never hides the rest.

        file: what is read, where it is a file of the workspace; else `words` begin the line.
        """
        try:
            return read()
        except Exception as error:  # damage makes the readers of parquet, safetensors, json and images raise anything
            line = unusable(file, error, self.root) if file else words + failed(error, self.root)
            if line not in self.damaged:
                self.damaged.append(line)
            return None
