"""Train the runs of fine-tunings on the workers of a cluster, each in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from swcl_cli import console
from swcl_cli.cluster.apart import Done
from swcl_cli.cluster.chains import follow_chains
from swcl_cli.cluster.mapping import Cluster
from swcl_cli.errors import Interrupted
from swcl_cli.models.initialisation import located
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.grid import GRID, search, train_point
from swcl_cli.tasks.runs import TaskRun
from swcl_cli.training.grid import Rates
from swcl_cli.workspace import Busy

PATIENCE = 360  # seconds: a lost worker whose machine lives on may train for five minutes before it notices
Chosen = dict[int | None, Rates]  # by fold: what its grid chose


@dataclass(frozen=True)
class Training:
    """Describe what a process does: a point of a run's grid, or whole runs, one after the other."""

    runs: tuple[TaskRun, ...]
    rates: Rates
    is_point: bool = False

    def __str__(self) -> str:
        of_grid = f", {self.rates.name}" if self.is_point else ""
        return f"{self.runs[0]}{of_grid}{f' and {len(self.runs) - 1} more' if self.runs[1:] else ''}"


def train(training: Training) -> str:
    """Train, and write the files of the runs, as a single process does; return the capability of the CPU.

    Where another worker, which was given up for lost, is still at work on the run, it is waited for.
    """
    for run in training.runs:
        if training.is_point:
            _once_free(lambda run=run: train_point(run, training.rates))  # type: ignore[misc]
        elif not run.is_done(training.rates):
            _once_free(lambda run=run: run.finish(training.rates))  # type: ignore[misc]
    return torch.backends.cpu.get_cpu_capability()


def _once_free(act: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            act()
            return
        except Busy:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def train_on_workers(cluster: Cluster, finetunings: Sequence[Sequence[TaskRun]]) -> list[tuple[Chosen, str]]:
    """Train all that is not done of these fine-tunings, at once; a grid's points come before the runs of its fold.

    Their workspace is an absolute path. Return for each what its grids chose, and the first error in it, or "". Each
    process has as many threads as this one.
    Raises Interrupted on Ctrl-C, upon which workers save the states of their trainings.
    """
    outside = [path for runs in finetunings if (path := _outside(runs[0].settings)) is not None]
    cluster.require(outside)
    chosen: list[Chosen] = [{} for _ in finetunings]
    numbers, chains = [], []
    for number, runs in enumerate(finetunings):
        folds = [runs] if runs[0].features else [[run for run in runs if run.fold == fold] for fold in _folds(runs)]
        for part in folds:
            numbers.append(number)
            chains.append(_stages(part, chosen[number]))
    threads = torch.get_num_threads()
    total = sum(len(runs) + len(GRID) * len(_folds(runs)) * runs[0].settings.grid for runs in finetunings)
    console.say(f"At most {total:,} trainings, each in a process of {threads} thread{'s' * (threads > 1)}.")
    errors, capabilities = [""] * len(finetunings), {torch.backends.cpu.get_cpu_capability()}
    try:
        with console.progress("training", total) as bar:
            for ended in follow_chains(cluster, train, chains, threads):
                if isinstance(ended.outcome, Done):
                    _tell(ended.piece, ended.outcome)
                    capabilities.add(ended.outcome.result)
                else:
                    message = f"{ended.piece}: {ended.outcome}" if ended.piece else str(ended.outcome)
                    console.warn(message)
                    errors[numbers[ended.chain]] = errors[numbers[ended.chain]] or message
                bar.advance(len(ended.piece.runs) if ended.piece else 0)
    except KeyboardInterrupt:
        raise Interrupted("Stopped: workers save the states of trainings, and the same command goes on.") from None
    if len(capabilities) > 1:
        console.warn(
            f"Processors differ ({', '.join(sorted(capabilities))}): trainings may differ in their last digits from "
            "those of one machine."
        )
    return list(zip(chosen, errors, strict=True))


def _stages(runs: Sequence[TaskRun], chosen: Chosen) -> Iterator[list[Training]]:
    """Yield the points of the grid, then the runs: all of a fold, or of a probe, whose runs share features."""
    first = runs[0]
    rates = Rates(first.settings.learning_rate, first.settings.weight_decay)
    if first.settings.grid:
        if not (first.grid.exists() or first.model.exists()):
            yield [Training((_for_worker(first),), point, True) for point in GRID if not first.point(point).exists()]
        rates = chosen[first.fold] = search(first, lambda: None)
    waiting = [_for_worker(run) for run in runs if not run.is_done(rates)]
    if first.features and waiting:
        yield [Training(tuple(waiting), rates)]
    else:
        yield [Training((run,), rates) for run in waiting]


def _folds(runs: Sequence[TaskRun]) -> list[int | None]:
    return list(dict.fromkeys(run.fold for run in runs))


def _tell(training: Training, done: Done) -> None:
    for warning in done.warnings:
        console.warn(warning)
    console.say(f"{training}: done on {done.host} in {done.seconds / 60:.1f} min.")


def _for_worker(run: TaskRun) -> TaskRun:
    """Return the run for a worker, which has another current directory, and never starts over."""
    settings, found = run.settings, located(run.settings.init, run.workspace.root)
    init = f"{found[0].absolute()}{f'#{found[1]}' if found[1] else ''}" if found else settings.init
    return replace(run, settings=settings.model_copy(update={"init": init, "fresh": False, "scheduler": None}))


def _outside(settings: FinetuneSettings) -> Path | None:
    """Return the file of initial weights, which may lie outside of the workspace."""
    found = located(settings.init, settings.workspace)
    return found[0] if found else None
