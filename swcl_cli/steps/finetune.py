"""`finetune`: an encoder -> models and scores of a public task, by the paper's protocol (paper IV)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swcl_cli import console
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data.photographs import manifest_of
from swcl_cli.errors import Interrupted, SwclError, UsageError
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings, plain_part
from swcl_cli.tasks import former, ledger
from swcl_cli.tasks.fitting import Rates
from swcl_cli.tasks.grid import search
from swcl_cli.tasks.own import task_of
from swcl_cli.tasks.runs import TaskRun, initialise_for
from swcl_cli.workspace import Workspace, fingerprint, provenance, write_parquet


def run(settings: FinetuneSettings) -> Path:
    """Fine-tunes with each seed, on each fold, and judges the best epoch; returns the path of results.parquet."""
    runs = _runs(settings)
    folder = runs[0].folder.parent
    runs[0].cautions()  # raises before anything is removed
    for one in runs:
        one.adopt()
    if settings.fresh:
        former.remove(runs)
    former.require_own_runs(runs)
    _tell_what_is_left(runs)
    title = f"{runs[0].task.name} from {runs[0].name}"

    def told() -> None:
        if len(trainings := ledger.trainings(runs)) > 1:
            console.say(f"{title}: {ledger.forecast(trainings)}.")

    chosen: dict[int | None, Rates] = {}  # by fold
    warned: set[str] = set()
    for one in runs:
        if not one.model.exists():
            for text in sorted(set(one.cautions()) - warned):
                console.warn(text)
                warned.add(text)
        if settings.grid and one.is_first:
            chosen[one.fold] = search(one, told)
        rates = chosen.get(one.fold, Rates(settings.learning_rate, settings.weight_decay))
        if one.is_done(rates):
            one.clear()
            console.say(f"{one}: This run is already done.")
        else:
            console.say(f"{one}")
            one.finish(rates)
            told()
    _gather(runs)
    _tell(folder / "results.parquet", settings, title)
    return folder / "results.parquet"


def run_all(several: Sequence[FinetuneSettings]) -> list[Path]:
    """Fine-tunes on those tasks whose data are prepared, one after the other; returns their results.parquet.

    A task that can't be done does not keep the others from it. Raises SwclError at the end, naming each.
    """
    prepared = Workspace(several[0].workspace).prepared()
    ready = [settings for settings in several if TASKS[settings.task].dataset in prepared]
    rows = [
        (settings.task, "prepared" if settings in ready else f"run: swcl prep {TASKS[settings.task].dataset} SOURCE")
        for settings in several
    ]
    console.table("finetune all", ("task", "data"), rows)
    if not ready:
        raise SwclError("No task's data are prepared. Make them with: swcl prep DATASET SOURCE")
    made, failed = [], []
    for settings in ready:
        try:
            made.append(run(settings))
        except (Interrupted, UsageError):
            raise
        except SwclError as error:
            console.fail(f"{settings.task}: {error}")
            failed.append(settings.task)
    if failed:
        raise SwclError(f"{len(failed)} of {len(ready)} tasks could not be done: {', '.join(failed)}; see above.")
    return made


def _runs(settings: FinetuneSettings) -> list[TaskRun]:
    """The first seed on all folds, then the next seed. Raises SwclError where data or weights are not there."""
    if settings.task not in TASKS:
        raise UsageError(f"task {settings.task} is the command's: from Python, call run_all with the settings of each.")
    workspace = Workspace(settings.workspace)
    task = task_of(settings, workspace)
    manifest = manifest_of(workspace, task.dataset)
    initial = initialise_for(task, settings, settings.seed)
    console.say(f"Encoder: {initial.told}.")
    inputs = {task.dataset: fingerprint(manifest), **initial.inputs}
    name = settings.name or _name(settings, initial)
    try:
        plain_part(name)
    except ValueError as error:
        raise UsageError(f"--init gives the name {name!r}, but {error}. Choose one with --name.") from None
    return [
        TaskRun(settings, workspace, task, name, initial.architecture, inputs, seed, fold)
        for seed in range(settings.seed, settings.seed + settings.seeds)
        for fold in (range(settings.folds) if settings.folds else (None,))
    ]


def _name(settings: FinetuneSettings, initial: Initial) -> str:
    frozen = "-frozen" if settings.freeze else ""
    return f"{initial.source}{frozen}" + (f"-{settings.fraction:g}" if settings.fraction < 1 else "")


def _tell_what_is_left(runs: Sequence[TaskRun]) -> None:
    found = ledger.trainings(runs)
    if len(found) > 1:
        title = f"{runs[0].task.name} from {runs[0].name}: {ledger.forecast(found)}"
        console.table(title, ("run", "state", "minutes"), ledger.rows(found))


def _gather(runs: Sequence[TaskRun]) -> None:
    first = runs[0]
    settings = {**first.shared(), "seeds": first.settings.seeds}
    whole = provenance("finetune", settings, first.inputs, primary=first.task.measure)
    kinds = {"predictions": runs, "results": runs, "grid": [one for one in runs if one.is_first and one.grid.exists()]}
    for kind, of in kinds.items():
        paths = [one.folder / f"{kind}.parquet" for one in of]
        parts = [pq.read_table(first.workspace.require(path, "the same command with --fresh")) for path in paths]
        if parts:
            whole_table = pa.concat_tables(parts, promote_options="permissive")  # an older version chose other types
            write_parquet(first.folder.parent / f"{kind}.parquet", whole_table, whole)


def _tell(path: Path, settings: FinetuneSettings, title: str) -> None:
    table = pd.read_parquet(path)
    rows = []
    for measure, part in table[table["split"] == settings.eval].groupby("measure", sort=False):
        spread = f" +- {part['value'].std():.3f}" if len(part) > 1 else ""
        rows.append((measure, f"{part['value'].mean():.3f}{spread}", len(part)))
    words = "test" if settings.eval == "test" else "validation, on which the epoch was chosen too"
    console.table(f"{title}: {words}", ("measure", "mean", "runs"), rows)
