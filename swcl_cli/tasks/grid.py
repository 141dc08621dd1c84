"""Search a grid for learning rate and weight decay, on validation with the first seed (paper IV-B; FACTS E1b)."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence

import pandas as pd
import pyarrow.parquet as pq

from swcl_cli import console
from swcl_cli.data import columns
from swcl_cli.errors import Diverged, SwclError
from swcl_cli.tasks.fitting import Fitted, Rates
from swcl_cli.tasks.runs import TaskRun
from swcl_cli.workspace import LOG, RESUME, is_done, read_provenance, write_parquet, write_safetensors

GRID = tuple(Rates(rate, decay) for rate in (0.1, 0.03, 0.01) for decay in (1e-3, 5e-4))


def best(values: Sequence[float]) -> int:
    """Return the index of the largest value; of equal values the first, since the grid begins with the published rates.

    Raises SwclError where all are NaN.
    """
    numbers = [-math.inf if math.isnan(value) else value for value in values]
    if max(numbers) == -math.inf:
        raise SwclError("Training diverged at every point of the grid; try one with --learning-rate 0.001.")
    return numbers.index(max(numbers))


def search(run: TaskRun, report: Callable[[], None]) -> Rates:
    """Train each point of the grid, write `grid.parquet` of the run, and return the rates that validate best.

    `report` is called after each training. A point that is done is not trained again.
    """
    work = run.work(None)
    if run.model.exists() and not run.grid.exists():
        is_done(run.model, work, fresh=False)  # raises, with what differs, before anything is trained
    if is_done(run.grid, work, fresh=False):
        table = pq.read_table(run.grid).to_pandas()
    else:
        table = pd.DataFrame([_trained(run, rates, report) for rates in GRID])
        table["chosen"] = table.index == best(table["value"].to_list())
        write_parquet(run.grid, columns.GRID.table(table), work)
    _show(run, table)
    row = table[table["chosen"]].iloc[0]
    rates = Rates(float(row["learning_rate"]), float(row["weight_decay"]))
    if (log := run.log_folder / rates.name / LOG).exists():
        shutil.copyfile(log, run.log_folder / LOG)  # the chosen training is that of the run
    return rates


def _trained(run: TaskRun, rates: Rates, report: Callable[[], None]) -> dict[str, object]:
    """Train a point of the grid, unless it is done; return its row of the table."""
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
    validation = read_provenance(path)["validation"]
    return {
        **run.labels(),
        "learning_rate": rates.learning_rate,
        "weight_decay": rates.weight_decay,
        "measure": run.task.measure,
        "value": validation["best"],
        "best_epoch": validation.get("best_epoch"),
    }


def _show(run: TaskRun, table: pd.DataFrame) -> None:
    """Show the measure of each point of the grid."""
    rows = [
        (
            f"{row.learning_rate:g}", f"{row.weight_decay:g}",
            "diverged" if math.isnan(row.value) else f"{row.value:.3f}", "chosen" if row.chosen else "",
        )
        for row in table.itertuples()
    ]  # fmt: skip
    console.table(f"{run}: grid", ("learning rate", "weight decay", f"validation {run.task.measure}", ""), rows)
