"""Name and list the folders below runs/, where long steps keep logs and resume states: runs/STEP/TASK/NAME/RUN.

Versions before nested folders kept them flat, as runs/STEP-TASK-NAME-RUN. What `finetune-folder-odir-swcl-seed0` is of
can't be told from that name alone: it is looked up from its resume state, and from what else the workspace holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.errors import SwclError
from swcl_cli.workspace.artefacts import read_provenance

LOG, RESUME = "log.jsonl", "resume.safetensors"
LABELER, SWAP, PRETRAIN, FINETUNE = "train-labeler", "make-swap", "pretrain", "finetune"  # the long steps
PARTS: dict[str, tuple[str, ...]] = {  # of the names of a step's runs
    LABELER: (),
    SWAP: (),
    PRETRAIN: ("name",),
    FINETUNE: ("task", "name", "run"),
}


class RunName(NamedTuple):
    """Name a run of a long step; parts that its step does not have are empty."""

    step: str
    task: str = ""
    name: str = ""
    run: str = ""


@dataclass(frozen=True)
class RunFolder:
    """Tell where a long step keeps what a run needs to go on, and the log of what it did."""

    step: str
    task: str
    name: str
    run: str
    folder: Path

    @property
    def named(self) -> RunName:
        return RunName(self.step, self.task, self.name, self.run)

    @property
    def log(self) -> Path:
        return self.folder / LOG

    @property
    def resume(self) -> Path:
        return self.folder / RESUME


RUN = re.compile(r"(fold\d+-)?seed\d+")


def run_name(seed: int, fold: int | None) -> str:
    """Name a run of a fine-tuning among those of its task and initial weights."""
    return f"seed{seed}" if fold is None else f"fold{fold}-seed{seed}"


def grid_points(folder: Path) -> list[Path]:
    """List the folders of the points of a run's grid that were begun. `folder`: the run's."""
    return sorted(path.parent for path in folder.glob(f"*/{LOG}"))


def folder_of(runs: Path, named: RunName) -> RunFolder:
    """Return the folder of a run, whether it is there or not. `runs`: the folder of all runs."""
    return RunFolder(*named, runs.joinpath(*filter(None, named)))


def flat_folder_of(runs: Path, named: RunName) -> Path:
    """Return where versions before nested folders kept it."""
    return runs / "-".join(filter(None, named))


def nested_folders(runs: Path) -> list[RunFolder]:
    """List the folders that are there, but for flat ones."""
    folders = []
    for step, parts in PARTS.items():
        for path in sorted(runs.glob("/".join([step, *["*"] * len(parts)]))):
            if path.is_dir():
                values = path.relative_to(runs).parts[1:]
                folders.append(folder_of(runs, RunName(step, **dict(zip(parts, values, strict=True)))))
    return folders


def flat_folders(runs: Path) -> list[Path]:
    """List the folders that versions before nested folders have left."""
    return sorted(path for step in (PRETRAIN, FINETUNE) for path in runs.glob(f"{step}-*") if path.is_dir())


def attributed(runs: Path, known: Collection[RunName]) -> tuple[list[RunFolder], list[Path]]:
    """Tell what the flat folders are of; those of which nothing tells it come second.

    A run that has a nested folder has no flat one: it began anew.
    """
    belonging, strays = [], []
    for path in flat_folders(runs):
        named = _owner(path, known)
        if named and not folder_of(runs, named).folder.exists():
            belonging.append(RunFolder(*named, path))
        else:
            strays.append(path)
    return belonging, strays


def adopt(runs: Path, run: RunFolder, known: Collection[RunName]) -> None:
    """Rename the flat folder of just this run, where there is one and the nested is not there."""
    flat = flat_folder_of(runs, run.named)
    if run.folder.exists() or not flat.is_dir() or _owner(flat, known) != run.named:
        return
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(flat, run.folder)
    except FileNotFoundError:
        pass  # another process of the same run was faster
    except OSError as error:
        raise SwclError(f"{flat} could not be renamed to {run.folder}: {error.strerror or error}.") from error


def _owner(flat: Path, known: Collection[RunName]) -> RunName | None:
    """Tell which run a flat folder is of. Of a pretraining all that follows the step is the name; a fine-tuning is told
    by its resume states, or else is the only known one that the folder's name fits, or the only known task and name.
    """
    if flat.name.startswith(f"{PRETRAIN}-"):
        return RunName(PRETRAIN, name=flat.name.removeprefix(f"{PRETRAIN}-"))
    states = [*flat.glob(RESUME), *flat.glob(f"*/{RESUME}")]
    made = [provenance for state in states if (provenance := _readable(state)) is not None]
    owners = (
        {_remembered(flat.name, provenance) for provenance in made}
        or {named for named in known if flat_folder_of(flat.parent, named) == flat}
        or {named._replace(run=run) for named in known if (run := _run_after(flat, named))}
    )
    return owners.pop() if len(owners) == 1 else None


def _run_after(flat: Path, named: RunName) -> str:
    """Return what follows a known task and name in a flat folder's name, where that is a run; else nothing."""
    before = f"{flat_folder_of(flat.parent, named).name}-"
    run = flat.name.removeprefix(before)
    return run if not named.run and flat.name.startswith(before) and RUN.fullmatch(run) else ""


def _readable(state: Path) -> dict[str, Any] | None:
    """Read the provenance of a resume state; None where it is damaged."""
    try:
        made: Any = read_provenance(state)
    except SwclError:
        return None
    return made if isinstance(made, dict) and isinstance(made.get("settings"), dict) else None


def _remembered(flat: str, made: Mapping[str, Any]) -> RunName | None:
    """Tell the run by its provenance; its name is what stands between task and run in the flat folder's."""
    settings = made["settings"]
    task = TASKS.get(str(settings.get("task")))
    if made.get("step") != FINETUNE or task is None:
        return None
    whole, run = task.called(settings.get("data")), run_name(settings.get("seed"), settings.get("fold"))
    before, after = f"{FINETUNE}-{whole}-", f"-{run}"
    name = flat[len(before) : -len(after)]
    return RunName(FINETUNE, whole, name, run) if name and flat == f"{before}{name}{after}" else None
