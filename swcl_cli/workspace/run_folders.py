"""Name and list the folders below runs/, where long steps keep logs and resume states: runs/STEP/TASK/NAME/RUN.

Older versions kept them flat, as runs/STEP-TASK-NAME-RUN. A name such as `finetune-folder-odir-swcl-seed0` does not say
where the task ends: the run is looked up in the resume state, and in the other artefacts of the workspace.
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
LEFT_OUT = "left-out.csv"  # photographs that were not learnt, so that tests stay unseen
EVENTS = "tensorboard"  # the folder of events, where they are wanted
POINT = "encoder.safetensors"  # of a point of a pretraining's grid, until that is done
LABELER, SWAP, PRETRAIN, FINETUNE = "train-labeler", "make-swap", "pretrain", "finetune"  # the long steps
PARTS: dict[str, tuple[str, ...]] = {  # of the names of a step's runs
    LABELER: (),
    SWAP: (),
    PRETRAIN: ("name",),
    FINETUNE: ("task", "name", "run"),
}


class RunName(NamedTuple):
    """Identify a run of a long step; parts of the name that its step does not have are empty."""

    step: str
    task: str = ""
    name: str = ""
    run: str = ""


@dataclass(frozen=True)
class RunFolder:
    """Locate the folder where a run of a long step keeps its log and its resume state."""

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

    @property
    def left_out(self) -> Path:
        return self.folder / LEFT_OUT

    def point(self, name: str) -> Path:
        """Return the file of weights of a point of the grid, in the point's own folder."""
        return self.folder / name / POINT


RUN = re.compile(r"(fold\d+-)?seed\d+")


def run_name(seed: int, fold: int | None) -> str:
    """Name a run of a fine-tuning among those of its task and initial weights."""
    return f"seed{seed}" if fold is None else f"fold{fold}-seed{seed}"


def grid_points(folder: Path) -> list[Path]:
    """List the folders of the points of a run's grid that were begun. `folder`: the run's."""
    return sorted(path.parent for path in folder.glob(f"*/{LOG}"))


def folder_of(runs: Path, named: RunName) -> RunFolder:
    """Return the folder of a run, which need not exist. `runs`: the folder of all runs."""
    return RunFolder(*named, runs.joinpath(*filter(None, named)))


def flat_folder_of(runs: Path, named: RunName) -> Path:
    """Return the folder in which older versions kept the run."""
    return runs / "-".join(filter(None, named))


def nested_folders(runs: Path) -> list[RunFolder]:
    """List the nested folders of all runs that exist."""
    folders = []
    for step, parts in PARTS.items():
        for path in sorted(runs.glob("/".join([step, *["*"] * len(parts)]))):
            if path.is_dir():
                values = path.relative_to(runs).parts[1:]
                folders.append(folder_of(runs, RunName(step, **dict(zip(parts, values, strict=True)))))
    return folders


def flat_folders(runs: Path) -> list[Path]:
    """List the flat folders of older versions that exist."""
    return sorted(path for step in (PRETRAIN, FINETUNE) for path in runs.glob(f"{step}-*") if path.is_dir())


def attributed(runs: Path, known: Collection[RunName]) -> tuple[list[RunFolder], list[Path]]:
    """Find the runs of the flat folders; return the folders with a run, then those whose run can't be identified.

    Where a run has a nested folder too, its flat folder belongs to no run: the run was begun anew.
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
    """Rename the flat folder of this run to its nested folder, where only the flat one exists."""
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
    """Find the run of a flat folder; None where it can't be identified.

    Of a pretraining all that follows the step is the name. A fine-tuning is identified by its resume states, or else is
    the only known run that the folder's name fits, or the only known task and name.
    """
    if flat.name.startswith(f"{PRETRAIN}-"):
        return RunName(PRETRAIN, name=flat.name.removeprefix(f"{PRETRAIN}-"))
    states = [*flat.glob(RESUME), *flat.glob(f"*/{RESUME}")]
    provenances = [provenance for state in states if (provenance := _readable(state)) is not None]
    owners = (
        {_run_of_state(flat.name, provenance) for provenance in provenances}
        or {named for named in known if flat_folder_of(flat.parent, named) == flat}
        or {named._replace(run=run) for named in known if (run := _run_after(flat, named))}
    )
    return owners.pop() if len(owners) == 1 else None


def _run_after(flat: Path, named: RunName) -> str:
    """Return the part of a flat folder's name after a known task and name, where it names a run; else an empty text."""
    beginning = f"{flat_folder_of(flat.parent, named).name}-"
    run = flat.name.removeprefix(beginning)
    return run if not named.run and flat.name.startswith(beginning) and RUN.fullmatch(run) else ""


def _readable(state: Path) -> dict[str, Any] | None:
    """Read the provenance of a resume state; None where it is damaged."""
    try:
        provenance: Any = read_provenance(state)
    except SwclError:
        return None
    return provenance if isinstance(provenance, dict) and isinstance(provenance.get("settings"), dict) else None


def _run_of_state(flat: str, provenance: Mapping[str, Any]) -> RunName | None:
    """Identify a run by its provenance; its name is the part between task and run in the name of the flat folder."""
    settings = provenance["settings"]
    task = TASKS.get(str(settings.get("task")))
    if provenance.get("step") != FINETUNE or task is None:
        return None
    whole, run = task.called(settings.get("data")), run_name(settings.get("seed"), settings.get("fold"))
    before, after = f"{FINETUNE}-{whole}-", f"-{run}"
    name = flat[len(before) : -len(after)]
    return RunName(FINETUNE, whole, name, run) if name and flat == f"{before}{name}{after}" else None
