"""Describe the network and the input of a model in its file, so that the file alone is enough to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.colour import Colour
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import Network
from swcl_cli.models.initialisation import Initial
from swcl_cli.preparation.unprepared import Form
from swcl_cli.settings import FinetuneSettings
from swcl_cli.workspace import Damaged, Workspace, part_of, read_provenance

KEY = "model"  # in the file's provenance
FAR = 2  # times smaller or larger than those that trained: predictions of such photographs were never evaluated


@dataclass(frozen=True)
class Study:
    """Hold the data of a run: rows of the manifest by split, `train` and `val` among them.

    remarks: what was done so that there are these splits, a sentence each. thresholds: by head, of a model that is
    scored on another data set than its own; else validation chooses them.
    """

    task: Task
    settings: FinetuneSettings
    workspace: Workspace
    rows: Mapping[str, pd.DataFrame]
    remarks: tuple[str, ...] = ()
    thresholds: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Description:
    """Describe the task, the network, and how photographs were prepared.

    size: their shorter side in pixels; where they kept their own size it is 0, or in files of version 0.1 the median.
    lossless: whether they are PNGs, as they are where they kept their own size. sizes: the least and the greatest
    shorter side of the training photographs. facts: further facts of this kind of task.
    """

    task: str
    kind: str
    heads: Mapping[str, int]
    crop: int
    architecture: Network
    mean: Colour
    std: Colour
    precision: str
    size: int
    square: bool
    crop_to_field: bool
    lossless: bool
    sizes: tuple[int, int]
    facts: Mapping[str, Any]

    @property
    def form(self) -> Form:
        """Return the form in which a photograph is to be prepared."""
        return Form(0 if self.lossless else self.size, self.square, self.crop_to_field, self.lossless)

    def is_far(self, width: int, height: int) -> bool:
        """Check whether a photograph is far smaller or larger than training photographs that keep their size."""
        least, most = self.sizes
        return self.lossless and not least / FAR <= min(width, height) <= most * FAR


SHARED = {field.name for field in fields(Description)} - {"facts"}
ADDED = {"sizes"}  # since version 0.1


def describe(study: Study, initial: Initial, facts: Mapping[str, Any]) -> Description:
    """Describe a model that is to be trained from `initial`."""
    task, settings = study.task, study.settings
    preparation = read_provenance(study.workspace.manifest(task.dataset))["settings"]
    shorter = study.rows["train"][["width", "height"]].to_numpy(dtype=np.int64).min(axis=1)
    return Description(
        task=task.name,
        kind=task.kind,
        heads=dict(task.heads),
        crop=settings.crop,
        architecture=initial.architecture,
        mean=initial.mean,
        std=initial.std,
        precision=settings.precision,
        size=preparation["size"],
        square=task.square,
        crop_to_field=bool(preparation.get("crop_to_field")),
        lossless=not preparation["size"],
        sizes=(int(shorter.min()), int(shorter.max())),
        facts=facts,
    )


def as_provenance(model: Description) -> dict[str, Any]:
    """Return the description in the form of the file: facts are beside the other fields."""
    entries: dict[str, Any] = asdict(model)
    facts: dict[str, Any] = entries.pop("facts")
    return entries | facts


def read_description(path: Path, saves: Mapping[str, tuple[str, ...]]) -> Description:
    """Read the description of a model from its file. saves: the facts that each kind of task needs.

    Raises SwclError where the file holds no model of a task, or is of another version.
    """
    entries = read_provenance(path).get(KEY)
    if entries is None:
        raise SwclError(f"{path} holds no model of a task. Models are made by: swcl finetune")
    if not isinstance(entries, dict):
        raise Damaged(path, "what it says of its model is no table of names and values")
    lacking = (SHARED - ADDED | set(saves.get(str(entries.get("kind")), ()))) - entries.keys()
    if lacking or str(entries["kind"]) not in saves:
        problem = f"does not say its {', '.join(sorted(lacking))}" if lacking else f"is of the kind {entries['kind']}"
        raise SwclError(f"{path} {problem}: it is of another version. Make it again with `swcl finetune`.")
    shared = {"sizes": (entries["size"], entries["size"])} | {name: entries[name] for name in SHARED & entries.keys()}
    whole = {**shared, "facts": {name: entries[name] for name in entries.keys() - SHARED}}
    description: Description = part_of(path, {KEY: whole}, (KEY,), Description)
    return description
