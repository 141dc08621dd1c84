"""Search a grid for learning rate and weight decay, on validation with the first seed (paper IV-B; FACTS E1b)."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from swcl_cli import console
from swcl_cli.catalogue.measures import quality_of
from swcl_cli.data import columns
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import Diverged
from swcl_cli.tasks.fitting import Fitted
from swcl_cli.tasks.runs import TaskRun, validation_of
from swcl_cli.training.grid import Rates, best, show
from swcl_cli.workspace import LOG, RESUME, Damaged, is_done, write_parquet, write_safetensors

GRID = tuple(Rates(rate, decay) for rate in (0.1, 0.03, 0.01) for decay in (1e-3, 5e-4))


def search(run: TaskRun, report: Callable[[], None]) -> Rates:
    """Train each point of the grid, write `grid.parquet` of the run, and return the rates that validate best.

    `report` is called after each training. A point that is done is not trained again.
    """
    work = run.work(None)
    if run.model.exists() and not run.grid.exists():
        is_done(run.model, work, fresh=False)  # raises, with what differs, before anything is trained
    if is_done(run.grid, work, fresh=False):
        table = read_columns(run.grid, columns.GRID).to_pandas()
        if table["chosen"].sum() != 1:
            raise Damaged(run.grid, "not one of its rows is chosen")
    else:
        table = pd.DataFrame([_row(run, rates, train_point(run, rates, report)) for rates in GRID])
        merits = [quality_of(run.task.measure).merit(value) for value in table["value"]]
        table["chosen"] = table.index == best(GRID, merits)
        write_parquet(run.grid, columns.GRID.table(table), work)
    points = [Rates(float(row.learning_rate), float(row.weight_decay)) for row in table.itertuples()]
    values = ["diverged" if math.isnan(value) else f"{value:.3f}" for value in table["value"]]
    show(f"{run}", f"validation {run.task.measure}", points, values, int(table["chosen"].argmax()))
    rates = points[int(table["chosen"].argmax())]
    if (log := run.log_folder / rates.name / LOG).exists():
        shutil.copyfile(log, run.log_folder / LOG)  # the chosen training is that of the run
    return rates


def train_point(run: TaskRun, rates: Rates, report: Callable[[], None] = lambda: None) -> Path:
    """Train a point of the grid, unless it is done; return the file of its weights."""
    path, work = run.point(rates), run.work(rates)
    if not is_done(path, work, fresh=False):
        console.say(f"{run}: learning rate {rates.learning_rate:g}, weight decay {rates.weight_decay:g}")
        try:
            fitted = run.fit(rates, run.log_folder / rates.name)
        except Diverged as error:
            console.warn(f"{error} This point of the grid is out.")
            fitted = Fitted({}, {"best": math.nan})
        write_safetensors(path, fitted.weights, {**work, "validation": fitted.validation})
        (run.log_folder / rates.name / RESUME).unlink(missing_ok=True)
        report()
        fitted.heed()
    return path


def _row(run: TaskRun, rates: Rates, path: Path) -> dict[str, object]:
    """Return a point's row of the table."""
    validation = validation_of(path)
    return {
        **run.labels(),
        "learning_rate": rates.learning_rate,
        "weight_decay": rates.weight_decay,
        "measure": run.task.measure,
        "value": validation["best"],
        "best_epoch": validation.get("best_epoch"),
    }
