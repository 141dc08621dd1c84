"""What the tests of `train-labeler` share: small settings, and a run's log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swcl_cli.settings import TrainLabelerSettings
from swcl_cli.workspace import Workspace
from tests.folders import read_log


def options(root: Path = Path("."), **values: Any) -> TrainLabelerSettings:
    small = {"architecture": "resnet18", "crop": 32, "views": 2, "batch_labelled": 3, "batch_unlabelled": 2}
    run = {"workspace": root, "accumulate": 2, "epochs": 2, "milestones": [1], "workers": 0, "accelerator": "cpu"}
    return TrainLabelerSettings(**{**small, **run, **values})


def records(workspace: Workspace) -> list[dict[str, Any]]:
    return read_log(workspace.labeler_run.folder)
