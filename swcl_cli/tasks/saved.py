"""A model file that `finetune` writes: what it says of its network and its input, which is all that using it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file
from torch import nn

from swcl_cli.catalogue.tasks import Task
from swcl_cli.data import manifest
from swcl_cli.data.colour import Colour
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import ARCHITECTURES, create_encoder, load_weights
from swcl_cli.models.heads import JointHeads
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.classification import JointClassifier
from swcl_cli.tasks.networks import segmenter, stride_for
from swcl_cli.workspace import Workspace, read_provenance

KEY = "model"  # in the file's provenance


@dataclass(frozen=True)
class Description:
    """Of task and network, as in `Task` and `FinetuneSettings`; and how photographs were prepared: `size` is their
    shorter side (of those that kept their own, the median of what trained), `lossless` whether they are PNGs.
    """

    task: str
    kind: str
    heads: Mapping[str, int]
    grades: Mapping[str, tuple[int, ...]]
    ratio: tuple[str, str] | None
    crop: int
    decoder: str
    output_stride: int
    architecture: str
    mean: Colour
    std: Colour
    precision: str
    size: int
    square: bool
    crop_to_field: bool
    lossless: bool


def describe(task: Task, settings: FinetuneSettings, workspace: Workspace, initial: Initial) -> dict[str, Any]:
    """The description, for the file's provenance."""
    path = workspace.manifest(task.dataset)
    made = read_provenance(path)["settings"]
    table = manifest.read(path, columns=["split", "width", "height"])
    shorter = table.loc[table["split"] == "train", ["width", "height"]].to_numpy(dtype=np.int64).min(axis=1)
    return asdict(
        Description(
            task=task.name, kind=task.kind, heads=dict(task.heads), grades=dict(task.grades), ratio=task.ratio,
            crop=settings.crop, decoder=settings.decoder, output_stride=settings.output_stride,
            architecture=initial.architecture, mean=initial.mean, std=initial.std, precision=settings.precision,
            size=made["size"] or round(float(np.median(shorter))), square=task.square,
            crop_to_field=bool(made.get("crop_to_field")), lossless=not made["size"],
        )
    )  # fmt: skip


def read_model(path: Path) -> tuple[nn.Module, Description]:
    """The trained network and what it is. Raises SwclError where the file is no such model, or a key does not fit."""
    said = read_provenance(path).get(KEY)
    if said is None:
        raise SwclError(f"{path} holds no model of a task. Models are made by: swcl finetune")
    lacking = Description.__dataclass_fields__.keys() - said.keys()
    if lacking:
        raise SwclError(
            f"{path} does not say its {', '.join(sorted(lacking))}: it is of another version. "
            "Make it again with `swcl finetune`."
        )
    about = Description(**{name: said[name] for name in Description.__dataclass_fields__})
    network = _network(about)
    load_weights(network, load_file(path), str(path))
    return network.eval(), about


def _network(about: Description) -> nn.Module:
    if about.kind == "classification":
        channels = ARCHITECTURES[about.architecture].channels
        return JointClassifier(create_encoder(about.architecture), JointHeads(channels, about.heads))
    stride = stride_for(about.decoder, about.output_stride)
    return segmenter(about.decoder, create_encoder(about.architecture, output_stride=stride), about.heads)
