"""A model file that `finetune` writes: what it says of its network and its input, which is all that using it needs."""

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
from swcl_cli.models.initialisation import Initial
from swcl_cli.preparation.unprepared import Form
from swcl_cli.settings import FinetuneSettings
from swcl_cli.workspace import Workspace, read_provenance

KEY = "model"  # in the file's provenance
FAR = 2  # times smaller or larger than what trained: what is told of such photographs was never tried


@dataclass(frozen=True)
class Study:
    """Hold what a run learns from: rows of the manifest by split, `train` and `val` among them."""

    task: Task
    settings: FinetuneSettings
    workspace: Workspace
    rows: Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Description:
    """Describe task, network, and how photographs were prepared.

    size: their shorter side in pixels, of those that kept their own 0, in files of version 0.1 their median. lossless:
    they are PNGs, which is where they kept their own. sizes: the least and the most of the training photographs'
    shorter sides. facts: what this kind of task has to say beside.
    """

    task: str
    kind: str
    heads: Mapping[str, int]
    crop: int
    architecture: str
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
        """How a photograph is to be prepared."""
        return Form(0 if self.lossless else self.size, self.square, self.crop_to_field, self.lossless)

    def is_far(self, width: int, height: int) -> bool:
        """Whether a photograph, which keeps its own size, is far smaller or larger than those that trained."""
        least, most = self.sizes
        return self.lossless and not least / FAR <= min(width, height) <= most * FAR


SHARED = {field.name for field in fields(Description)} - {"facts"}
ADDED = {"sizes"}  # since version 0.1


def describe(study: Study, initial: Initial, facts: Mapping[str, Any]) -> Description:
    """Describe a model that is to be trained from `initial`."""
    task, settings = study.task, study.settings
    made = read_provenance(study.workspace.manifest(task.dataset))["settings"]
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
        size=made["size"],
        square=task.square,
        crop_to_field=bool(made.get("crop_to_field")),
        lossless=not made["size"],
        sizes=(int(shorter.min()), int(shorter.max())),
        facts=facts,
    )


def as_provenance(model: Description) -> dict[str, Any]:
    """Lay the description out as the file holds it: facts stand beside the others."""
    said: dict[str, Any] = asdict(model)
    facts: dict[str, Any] = said.pop("facts")
    return said | facts


def read_description(path: Path, saves: Mapping[str, tuple[str, ...]]) -> Description:
    """Read what a file says of its model. saves: the facts that each kind needs.

    Raises SwclError where the file is no such model, or of another version.
    """
    said = read_provenance(path).get(KEY)
    if said is None:
        raise SwclError(f"{path} holds no model of a task. Models are made by: swcl finetune")
    lacking = (SHARED - ADDED | set(saves.get(said.get("kind"), ()))) - said.keys()
    if lacking or said["kind"] not in saves:
        problem = f"does not say its {', '.join(sorted(lacking))}" if lacking else f"is of the kind {said['kind']}"
        raise SwclError(f"{path} {problem}: it is of another version. Make it again with `swcl finetune`.")
    shared = {"sizes": (said["size"], said["size"])} | {name: said[name] for name in SHARED & said.keys()}
    return Description(**shared, facts={name: said[name] for name in said.keys() - SHARED})
