"""Untrained models of tasks, on tiny networks of timm, as `finetune` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data import manifest
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.saved import KEY, Study, as_provenance
from swcl_cli.tasks.trial import prepare
from swcl_cli.workspace import Workspace, fingerprint, provenance, write_safetensors
from tests import prepared

LABELS: dict[str, dict[str, Any]] = {"idrid": {"dr_grade": 0, "dme_grade": 1}, "refuge-cls": {"glaucoma": True}}


def write_model(root: Path, name: str, architecture: str = "test_resnet", crop: int = 64, **facts: Any) -> Path:
    """A model of this task whose answers differ from photograph to photograph. facts: beside those of its kind."""
    masks = name not in LABELS
    rows = [
        {
            "split": ("train", "train", "val", "test")[item],
            "image": prepared.photograph(item, 100, 90),
            **(LABELS.get(name) or {"mask": (prepared.photograph(item, 100, 90)[..., 0] > 120).astype("uint8") * 255}),
        }
        for item in range(4)
    ]
    prepared.write(root, name, rows, size=0 if masks else 80)
    task, workspace = TASKS[name], Workspace(root)
    settings = FinetuneSettings(workspace=root, task=name, crop=crop, decoder="smp-fpn")
    table = manifest.read(workspace.manifest(name))
    study = Study(task, settings, workspace, {"train": table[table["split"] == "train"]})
    kind = KINDS[task.kind]
    encoder = create_encoder(architecture, 0, kind.output_stride(kind.facts(task, settings)))
    trial = prepare(study, Initial(encoder, architecture, MEAN, STD, None, "random", {}, ""), 0)
    described = {**as_provenance(trial.model), **facts}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = kind.network(encoder, described["heads"], {**trial.model.facts, **facts})
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if "heads" in key and key.endswith("weight"):
                parameter.mul_(1 if masks else 10)
    path = workspace.finetune(name, "random") / "seed0/model.safetensors"
    made = provenance("finetune", settings.defining(), {name: fingerprint(workspace.manifest(name))})
    write_safetensors(path, network.state_dict(), {**made, KEY: described})
    return path
