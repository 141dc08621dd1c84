"""List the trainings of a fine-tuning with their states, and forecast the time that the others will take."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swcl_cli.tasks.grid import GRID
from swcl_cli.tasks.runs import TaskRun
from swcl_cli.workspace import LOG, RESUME, log_lines

MINUTE = 60  # seconds


@dataclass(frozen=True)
class Training:
    """Describe a training: a run, or a point of its grid."""

    title: str
    folder: Path
    is_done: bool
    seconds: float  # that it has taken, by its log

    @property
    def state(self) -> str:
        """Return `done`, `begun` or `to do`."""
        return "done" if self.is_done else "begun" if (self.folder / RESUME).exists() else "to do"


def trainings(runs: Sequence[TaskRun]) -> list[Training]:
    """List the trainings in their order. A run whose rates are chosen by the grid has no training beside its points."""
    listed = []
    for run in runs:
        batch = run.settings.batch
        if run.settings.grid and run.is_first:
            whole = run.model.exists() or run.grid.exists()
            for rates in GRID:
                folder, done = run.log_folder / rates.name, whole or run.point(rates).exists()
                listed.append(Training(f"{run.run_name}, {rates.name}", folder, done, spent(folder, batch)))
        else:
            folder = run.log_folder
            listed.append(Training(run.run_name, folder, run.model.exists(), spent(folder, batch)))
    return listed


def spent(folder: Path, batch: int) -> float:
    """Sum the seconds of all steps and validations in the log of a training, which may have been resumed."""
    records = [record for _, record in log_lines(folder / LOG).records]
    steps = (batch / record["views_a_second"] for record in records if record.get("views_a_second", 0) > 0)
    return float(sum(steps) + sum(record.get("seconds", 0.0) for record in records))


def rows(trainings: Sequence[Training]) -> list[tuple[str, str, str]]:
    """Return the rows of a table: title, state and minutes of each training."""
    return [
        (training.title, training.state, f"{training.seconds / 60:.1f}" if training.seconds else "")
        for training in trainings
    ]


def forecast(trainings: Sequence[Training]) -> str:
    """Say how many trainings are done, and how long the others will take, where one that is done shows the pace."""
    durations = [training.seconds for training in trainings if training.is_done and training.seconds]
    counts = f"{sum(training.is_done for training in trainings)} of {len(trainings)} done"
    remaining = [training for training in trainings if not training.is_done]
    if not (durations and remaining):
        return counts
    seconds = sum(max(statistics.mean(durations) - training.seconds, 0) for training in remaining)
    return f"{counts}, {f'about {seconds / 60:.0f} min' if seconds >= MINUTE else 'less than a minute'} to go"
