"""What of a fine-tuning is done, what is left, and how long that will take at the pace so far."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swcl_cli.tasks.grid import GRID
from swcl_cli.tasks.runs import TaskRun
from swcl_cli.workspace import LOG, RESUME


@dataclass(frozen=True)
class Training:
    """One training: a run, or a point of its grid."""

    title: str
    folder: Path
    is_done: bool
    seconds: float  # that were spent on it, as far as its log tells

    @property
    def state(self) -> str:
        return "done" if self.is_done else "begun" if (self.folder / RESUME).exists() else "to do"


def trainings(runs: Sequence[TaskRun]) -> list[Training]:
    """In the order in which they are done. Nothing is trained for a run whose point of the grid is chosen."""
    found = []
    for run in runs:
        batch = run.settings.batch
        if run.settings.grid and run.is_first:
            whole = run.model.exists() or run.grid.exists()
            for rates in GRID:
                folder, done = run.log_folder / rates.name, whole or run.point(rates).exists()
                found.append(Training(f"{run.run_name}, {rates.name}", folder, done, spent(folder, batch)))
        else:
            folder = run.log_folder
            found.append(Training(run.run_name, folder, run.model.exists(), spent(folder, batch)))
    return found


def spent(folder: Path, batch: int) -> float:
    """Seconds of the steps and validations that the log counts, whenever and however often it was resumed."""
    path = folder / LOG
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("}")]  # the last may be cut off
    steps = (batch / record["views_a_second"] for record in records if "views_a_second" in record)
    return float(sum(steps) + sum(record.get("seconds", 0.0) for record in records))


def rows(found: Sequence[Training]) -> list[tuple[str, str, str]]:
    """Of a table: the training, its state, and its minutes."""
    return [(one.title, one.state, f"{one.seconds / 60:.1f}" if one.seconds else "") for one in found]


def forecast(found: Sequence[Training]) -> str:
    """How many are done, and the time to come, where one that is done tells the pace."""
    done = [one.seconds for one in found if one.is_done and one.seconds]
    counts = f"{sum(one.is_done for one in found)} of {len(found)} done"
    left = [one for one in found if not one.is_done]
    if not (done and left):
        return counts
    seconds = sum(max(statistics.mean(done) - one.seconds, 0) for one in left)
    return f"{counts}, about {max(seconds / 60, 1):.0f} min to go"
