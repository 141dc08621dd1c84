"""The grid search: learning rate and weight decay, chosen on validation with the first seed (paper IV-B; FACTS E1b)."""

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
    """The place of the largest; of equal ones the first, where the grid begins with what the authors published.

    Raises SwclError where none is a number.
    """
    numbers = [-math.inf if math.isnan(value) else value for value in values]
    if max(numbers) == -math.inf:
        raise SwclError("Training diverged at every point of the grid; try one with --learning-rate 0.001.")
    return numbers.index(max(numbers))


def search(run: TaskRun, told: Callable[[], None]) -> Rates:
    """The point that validates best; each is trained once, and `grid.parquet` of the run keeps them all.

    `told` is called after each.
    """
    work = run.work(None)
    if run.model.exists() and not run.grid.exists():
        is_done(run.model, work, fresh=False)  # tells what differs before anything is trained
    if is_done(run.grid, work, fresh=False):
        table = pq.read_table(run.grid).to_pandas()
    else:
        table = pd.DataFrame([_tried(run, rates, told) for rates in GRID])
        table["chosen"] = table.index == best(table["value"].to_list())
        write_parquet(run.grid, columns.GRID.table(table), work)
    _tell(run, table)
    row = table[table["chosen"]].iloc[0]
    rates = Rates(float(row["learning_rate"]), float(row["weight_decay"]))
    if (log := run.log_folder / rates.name / LOG).exists():
        shutil.copyfile(log, run.log_folder / LOG)  # the chosen training is that of the run
    return rates


def _tried(run: TaskRun, rates: Rates, told: Callable[[], None]) -> dict[str, object]:
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
        told()
        fitted.heed()
    found = read_provenance(path)["validation"]
    return {
        **run.labels(), "learning_rate": rates.learning_rate, "weight_decay": rates.weight_decay,
        "measure": run.task.measure, "value": found["best"], "best_epoch": found.get("best_epoch"),
    }  # fmt: skip


def _tell(run: TaskRun, table: pd.DataFrame) -> None:
    rows = [
        (
            f"{row.learning_rate:g}", f"{row.weight_decay:g}",
            "diverged" if math.isnan(row.value) else f"{row.value:.3f}", "chosen" if row.chosen else "",
        )
        for row in table.itertuples()
    ]  # fmt: skip
    console.table(f"{run}: grid", ("learning rate", "weight decay", f"validation {run.task.measure}", ""), rows)
