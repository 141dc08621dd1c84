"""Tell of work that has not reached its end: how far it is, and what is left where that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from swcl_cli.reporting.evidence.runs import FINETUNE, Training, finetuned_folders, grid_points, training_folders
from swcl_cli.workspace import JOURNAL, MODEL, RESUME, Workspace

Runs = Mapping[str, Path]  # the folder of each run of one task and initialisation


@dataclass(frozen=True)
class Unfinished:
    """Hold a place in the workspace, and how far the work there is; `training` where it is a single one."""

    place: str
    words: str
    training: Training | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Tuned:
    """Hold the runs in the results.parquet of one task and initialisation, and how many that is to hold.

    None where that file is not there, or can't be read.
    """

    runs: Set[str] | None = None
    wanted: int | None = None


class Progress:
    """Tell how far trainings are.

    read_settings: the settings that a resume state remembers, empty where it can't be read.
    """

    def __init__(
        self,
        workspace: Workspace,
        logs: Mapping[Training, pd.DataFrame],
        read_settings: Callable[[Path], Mapping[str, Any]],
    ) -> None:
        self.workspace, self.logs, self.read_settings = workspace, logs, read_settings

    def unfinished(self, done: Set[Training], tuned: Mapping[tuple[str, str], Tuned]) -> list[Unfinished]:
        """List data sets, then single trainings, then fine-tunings by task and name. done: those with an artefact."""
        root = self.workspace.root
        prepared = [
            Unfinished(f"data/{path.parent.name}", "broken off, or still being prepared")
            for path in sorted(root.glob(f"data/*/{JOURNAL}"))
            if not self.workspace.manifest(path.parent.name).exists()
        ]
        begun = {
            training: folder
            for training, folder in training_folders(self.workspace).items()
            if self._is_begun(training, folder, done)
        }
        single = [
            Unfinished(self.workspace.relative(folder), self._words(training, folder), training)
            for training, folder in begun.items()
            if not training.task
        ]
        finetuned = []
        for folder in finetuned_folders(self.workspace):
            place = (folder.parent.name, folder.name)
            runs = {training.run: path for training, path in begun.items() if training[1:3] == place}
            if words := self._of_task(folder, tuned.get(place, Tuned()), runs):
                finetuned.append(Unfinished(self.workspace.relative(folder), words))
        return [*prepared, *single, *finetuned]

    def _is_begun(self, training: Training, folder: Path, done: Set[Training]) -> bool:
        """Tell whether it was logged, and is not done or was begun again."""
        if (folder / RESUME).exists():
            return True
        return training not in done and (training in self.logs or bool(grid_points(folder)))

    def _of_task(self, folder: Path, tuned: Tuned, begun: Runs) -> str:
        """Say what remains to be done for one task and initialisation; empty where nothing does."""
        complete = {path.parent.name for path in folder.glob(f"*/{MODEL}")}
        has_results = (folder / "results.parquet").exists()
        if has_results and tuned.runs is None:  # which of the others are in it can't be told
            begun = {run: path for run, path in begun.items() if (path / RESUME).exists()}
        held = tuned.runs or set()
        waiting = complete - held
        parts = []
        if waiting and not has_results:
            parts.append(f"{_runs(len(waiting))} done, to be averaged once all are")
        elif waiting and tuned.runs is not None:
            parts.append(f"{_runs(len(waiting))} done that results.parquet does not hold yet")
        elif tuned.wanted is not None and len(held) < tuned.wanted:
            parts.append(f"results.parquet holds {len(held)} of {tuned.wanted} runs")
        task, name = folder.parent.name, folder.name
        parts += [
            f"{run}: {self._words(Training(FINETUNE, task, name, run), path)}"
            for run, path in begun.items()
            if run not in waiting
        ]
        return "; ".join(parts)

    def _words(self, training: Training, folder: Path) -> str:
        points = grid_points(folder)
        if not points:
            return self._steps(training, folder)
        tried = sum(not (point / RESUME).exists() for point in points)
        return f"{tried} {'point' if tried == 1 else 'points'} of the grid tried"

    def _steps(self, training: Training, folder: Path) -> str:
        """`30 of at most 720 steps done`: measured epochs tell how many steps one has, the resume state how many are to
        be done.
        """
        log = self.logs.get(training)
        if log is None or not len(log):
            return "no step done yet"
        done, most = int(log["step"].max()) + 1, 0
        epochs = self.read_settings(folder / RESUME).get("epochs") if (folder / RESUME).exists() else None
        if isinstance(epochs, int) and "epoch" in log and log["epoch"].notna().any():
            last = log[log["epoch"].notna()].iloc[-1]
            most = round((float(last["step"]) + 1) / (float(last["epoch"]) + 1) * epochs)
        if most >= done:
            return f"{done:,} of at most {most:,} steps done"
        return "1 step done" if done == 1 else f"{done:,} steps done"


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
