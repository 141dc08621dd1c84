"""Tell of work that has not reached its end: how far it is, and what is left where that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from swcl_cli.workspace import JOURNAL, MODEL, RESUME, RunFolder, RunName, Workspace, grid_points

STRAY = "of an older version, and of no run that is known here: no command goes on with it"


@dataclass(frozen=True)
class Unfinished:
    """Hold a place in the workspace, and how far the work there is; `run` where it is of a single one."""

    place: str
    words: str
    run: RunName | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Tuned:
    """Hold the runs in the results.parquet of one task and initialisation, and how many that is to hold.

    None where that file is not there, or can't be read.
    """

    runs: Set[str] | None = None
    wanted: int | None = None


class Progress:
    """Tell how far trainings are.

    read_settings: the settings that a resume state remembers, empty where it can't be read. done: the runs whose
    artefacts are there.
    """

    def __init__(
        self,
        workspace: Workspace,
        logs: Mapping[RunName, pd.DataFrame],
        read_settings: Callable[[Path], Mapping[str, Any]],
        done: Set[RunName],
        tuned: Mapping[tuple[str, str], Tuned],
    ) -> None:
        self.workspace, self.logs, self.read_settings, self.done, self.tuned = (
            workspace, logs, read_settings, done, tuned,
        )  # fmt: skip

    def unfinished(self, folders: Sequence[RunFolder], strays: Sequence[Path]) -> list[Unfinished]:
        """List data sets, then single runs, fine-tunings by task and name, and folders that nothing goes on with.

        folders: of the runs that were begun; strays: those of older versions of which nothing tells the run.
        """
        root = self.workspace.root
        prepared = [
            Unfinished(f"data/{path.parent.name}", "broken off, or still being prepared")
            for path in sorted(root.glob(f"data/*/{JOURNAL}"))
            if not self.workspace.manifest(path.parent.name).exists()
        ]
        begun = sorted((run for run in folders if self._is_begun(run)), key=lambda run: run.folder)
        finetuned, together = [], set()
        for folder in self.workspace.finetuned():
            place = (folder.parent.name, folder.name)
            runs = [run for run in begun if (run.task, run.name) == place]
            together |= {run.named for run in runs}
            if words := self._of_task(folder, self.tuned.get(place, Tuned()), runs):
                finetuned.append(Unfinished(self.workspace.relative(folder), words))
        single = [
            Unfinished(self.workspace.relative(run.folder), self._words(run), run.named)
            for run in begun
            if run.named not in together
        ]
        left = [Unfinished(self.workspace.relative(path), STRAY) for path in strays]
        return [*prepared, *single, *finetuned, *left]

    def _is_begun(self, run: RunFolder) -> bool:
        """Tell whether it was logged, and is not done or was begun again."""
        if run.resume.exists():
            return True
        return run.named not in self.done and (run.named in self.logs or bool(grid_points(run.folder)))

    def _of_task(self, folder: Path, tuned: Tuned, begun: Sequence[RunFolder]) -> str:
        """Say what remains to be done for one task and initialisation; empty where nothing does."""
        complete = {path.parent.name for path in folder.glob(f"*/{MODEL}")}
        has_results = (folder / "results.parquet").exists()
        if has_results and tuned.runs is None:  # which of the others are in it can't be told
            begun = [run for run in begun if run.resume.exists()]
        held = tuned.runs or set()
        waiting = complete - held
        parts = []
        if waiting and not has_results:
            parts.append(f"{_runs(len(waiting))} done, to be averaged once all are")
        elif waiting and tuned.runs is not None:
            parts.append(f"{_runs(len(waiting))} done that results.parquet does not hold yet")
        elif tuned.wanted is not None and len(held) < tuned.wanted:
            parts.append(f"results.parquet holds {len(held)} of {tuned.wanted} runs")
        parts += [f"{run.run}: {self._words(run)}" for run in begun if run.run not in waiting]
        return "; ".join(parts)

    def _words(self, run: RunFolder) -> str:
        points = grid_points(run.folder)
        if not points or run.resume.exists():  # a pretraining with the rates that its grid chose
            return self._steps(run)
        tried = sum(not (point / RESUME).exists() for point in points)
        return f"{tried} {'point' if tried == 1 else 'points'} of the grid tried"

    def _steps(self, run: RunFolder) -> str:
        """`30 of at most 720 steps done`: measured epochs tell how many steps one has, the resume state how many are to
        be done.
        """
        log = self.logs.get(run.named)
        if log is None or not len(log):
            return "no step done yet"
        done, most = int(log["step"].max()) + 1, 0
        epochs = self.read_settings(run.resume).get("epochs") if run.resume.exists() else None
        if isinstance(epochs, int) and "epoch" in log and log["epoch"].notna().any():
            last = log[log["epoch"].notna()].iloc[-1]
            most = round((float(last["step"]) + 1) / (float(last["epoch"]) + 1) * epochs)
        if most >= done:
            return f"{done:,} of at most {most:,} steps done"
        return "1 step done" if done == 1 else f"{done:,} steps done"


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
