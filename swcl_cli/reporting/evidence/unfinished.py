"""Work that has not reached its end: how far it is, and what is left where that is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from swcl_cli.workspace import JOURNAL, LOG, MODEL, RESUME, Workspace

RUN = re.compile(r"(fold\d+-)?seed\d+")


@dataclass(frozen=True)
class Unfinished:
    """Where it lies in the workspace, and how far it is."""

    place: str
    words: str

    @property
    def name(self) -> str:
        return self.place.rpartition("/")[2]


@dataclass(frozen=True)
class Tuned:
    """What is known of one task and initialisation: the runs in its results.parquet, and how many that is to hold.

    None where that file is not there, or can't be read.
    """

    runs: Set[str] | None = None
    wanted: int | None = None


class Progress:
    """read_settings: the settings that a resume state remembers, empty where it can't be read."""

    def __init__(
        self, workspace: Workspace, logs: Mapping[str, pd.DataFrame], read_settings: Callable[[Path], Mapping[str, Any]]
    ) -> None:
        self.workspace, self.logs, self.read_settings = workspace, logs, read_settings

    def found(self, done: Set[str], tuned: Mapping[tuple[str, str], Tuned]) -> list[Unfinished]:
        """done: the folders under runs/ whose artefact is there."""
        root = self.workspace.root
        prepared = [
            Unfinished(f"data/{path.parent.name}", "broken off, or still being prepared")
            for path in sorted(root.glob(f"data/*/{JOURNAL}"))
            if not self.workspace.manifest(path.parent.name).exists()
        ]
        folders = [path for path in sorted(root.glob("runs/*")) if self._is_left(path, done)]
        groups, grouped = [], set()
        for path in sorted(root.glob("finetune/*/*/")):
            task, name = path.parent.name, path.name
            prefix = f"finetune-{task}-{name}-"
            begun = [
                each for each in folders if each.name.startswith(prefix) and RUN.fullmatch(each.name[len(prefix) :])
            ]
            words = self._of_task(path, tuned.get((task, name), Tuned()), begun, len(prefix))
            groups += [Unfinished(f"finetune/{task}/{name}", words)] if words else []
            grouped |= {each.name for each in begun}
        alone = [Unfinished(f"runs/{path.name}", self._words(path)) for path in folders if path.name not in grouped]
        return [*prepared, *alone, *groups]

    def _is_left(self, folder: Path, done: Set[str]) -> bool:
        """Logged by a training, and not done, or begun again."""
        if (folder / RESUME).exists():
            return True
        return folder.name not in done and (folder.name in self.logs or any(folder.glob(f"*/{LOG}")))

    def _of_task(self, folder: Path, known: Tuned, begun: Sequence[Path], prefix: int) -> str:
        """What is left of one task and initialisation; empty where nothing is."""
        complete = {path.parent.name for path in folder.glob(f"*/{MODEL}")}
        has_results = (folder / "results.parquet").exists()
        if has_results and known.runs is None:
            begun = [path for path in begun if (path / RESUME).exists()]  # which of the others are in it can't be told
        held = known.runs or set()
        waiting = complete - held
        parts = []
        if waiting and not has_results:
            parts.append(f"{_runs(len(waiting))} done, to be averaged once all are")
        elif waiting and known.runs is not None:
            parts.append(f"{_runs(len(waiting))} done that results.parquet does not hold yet")
        elif known.wanted is not None and len(held) < known.wanted:
            parts.append(f"results.parquet holds {len(held)} of {known.wanted} runs")
        parts += [f"{path.name[prefix:]}: {self._words(path)}" for path in begun if path.name[prefix:] not in waiting]
        return "; ".join(parts)

    def _words(self, folder: Path) -> str:
        grid = [path.parent for path in sorted(folder.glob(f"*/{LOG}"))]
        if not grid:
            return self._steps(folder)
        tried = [point for point in grid if not (point / RESUME).exists()]
        return f"{len(tried)} {'point' if len(tried) == 1 else 'points'} of the grid tried"

    def _steps(self, folder: Path) -> str:
        """`30 of at most 720 steps done`: measured epochs tell how many steps one has, the resume state how many are to
        be done.
        """
        log = self.logs.get(folder.name)
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
