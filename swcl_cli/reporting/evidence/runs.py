"""List the folders of trainings, and which training each belongs to."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from swcl_cli.settings import STEPS
from swcl_cli.workspace import LOG, Workspace

LABELER, PRETRAIN, FINETUNE = "train-labeler", "pretrain", "finetune"
RUN_NAME = re.compile(r"(fold\d+-)?seed\d+")


class Training(NamedTuple):
    """Name a run of a step. What a step has not is empty: the labeler has no name, an encoder no task and no run."""

    step: str
    task: str = ""
    name: str = ""
    run: str = ""


def training_folders(workspace: Workspace) -> dict[Training, Path]:
    """The folder of each training, in the order of their paths. A fine-tuning without a folder of its own under
    finetune/ has no task: its name is all that follows the step.
    """
    finetuned = [(path.parent.name, path.name) for path in finetuned_folders(workspace)]
    return {_training(path.name, finetuned): path for path in sorted(workspace.root.glob("runs/*"))}


def _training(folder: str, finetuned: Collection[tuple[str, str]]) -> Training:
    step = next((step for step in STEPS if f"{folder}-".startswith(f"{step}-")), folder)
    rest = folder[len(step) + 1 :]
    for task, name in finetuned if step == FINETUNE else ():
        run = rest.removeprefix(f"{task}-{name}-")
        if RUN_NAME.fullmatch(run):
            return Training(step, task, name, run)
    return Training(step, name=rest)


def finetuned_folders(workspace: Workspace) -> list[Path]:
    """List finetune/TASK/NAME, where results come together."""
    return sorted(workspace.root.glob("finetune/*/*/"))


def grid_points(folder: Path) -> list[Path]:
    """List the folders of the points of a grid search that a training has tried, or is trying."""
    return [path.parent for path in sorted(folder.glob(f"*/{LOG}"))]


def encoder_files(workspace: Workspace) -> list[Path]:
    """List the weights at the top of the workspace, but for the labeler's; they may be other people's, too."""
    return [path for path in sorted(workspace.root.glob("*.safetensors")) if path != workspace.labeler]


def tables_of_photographs(workspace: Workspace) -> list[Path]:
    """List all parquet files that name photographs."""
    places = ("data/*/manifest.parquet", "swap.parquet", "runs/*/*.parquet", "finetune/*/*/predictions.parquet")
    return [path for place in places for path in sorted(workspace.root.glob(place))]
