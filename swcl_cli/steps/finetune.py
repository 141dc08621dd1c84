"""Fine-tune an encoder on a task and evaluate it, by the paper's protocol (paper IV): the step `finetune`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from swcl_cli import console
from swcl_cli.audit.learnt import sentence_of_copies
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data.columns import GRID, OF_RUN, PREDICTED, RESULTS
from swcl_cli.data.photographs import manifest_of
from swcl_cli.data.stored import read_columns, read_whole
from swcl_cli.errors import Interrupted, SwclError, UsageError
from swcl_cli.models.encoders import require_network
from swcl_cli.settings import FinetuneSettings, plain_part
from swcl_cli.tasks import KINDS, former, ledger
from swcl_cli.tasks.features import Features
from swcl_cli.tasks.grid import search
from swcl_cli.tasks.own import task_of
from swcl_cli.tasks.runs import TaskRun, initialise_for, row_name
from swcl_cli.training.grid import Rates
from swcl_cli.training.processes import make_fabric, started_processes, wait_for_all
from swcl_cli.workspace import Workspace, fingerprint, locked, provenance, write_parquet

SHOWN = 5  # measures at the end beside the primary one


def run(settings: FinetuneSettings) -> Path:
    """Fine-tune with each seed on each fold, and judge the best epoch of each run; return the path of results.parquet.

    Under torchrun all processes train the one run as one: each takes its part of every batch. Raises SwclError where a
    file that these runs are to write was made differently, or by anything else.
    """
    runs = _runs(settings)
    if started_processes() > 1:
        _require_one(runs)
        fabric = make_fabric(settings.accelerator, settings.precision, several=True)
        if not fabric.is_global_zero:
            return _shared(runs[0])
    runs[0].cautions()  # raises before anything is removed
    for run in runs:
        run.adopt()
    with locked(runs[0].log_folder.parent, "finetune"):
        return _finetuned(runs, settings)


def _finetuned(runs: Sequence[TaskRun], settings: FinetuneSettings) -> Path:
    """Do what is not done yet of the runs, and join their tables."""
    folder = runs[0].folder.parent
    if settings.fresh:
        former.remove(runs)
    former.require_own_runs(runs)
    wait_for_all()
    _show_trainings(runs)
    title = f"{runs[0].task.name} from {runs[0].name}"

    def show_forecast() -> None:
        if len(trainings := ledger.trainings(runs)) > 1:
            console.say(f"{title}: {ledger.forecast(trainings)}.")

    first = runs[0]
    if text := sentence_of_copies(first.workspace, first.task.dataset, first.inputs, first.fold is not None):
        console.warn(text)
    chosen: dict[int | None, Rates] = {}  # by fold
    warned: set[str] = set()
    for run in runs:
        if not run.model.exists():
            for text in sorted(set(run.cautions()) - warned):
                console.warn(text)
                warned.add(text)
        if settings.grid and run.is_first:
            chosen[run.fold] = search(run, show_forecast)
        rates = chosen.get(run.fold, Rates(settings.learning_rate, settings.weight_decay))
        if run.is_done(rates):
            run.clear()
            console.say(f"{run}: This run is already done.")
        else:
            console.say(f"{run}")
            run.finish(rates)
            show_forecast()
    _gather(runs)
    _show_results(folder / "results.parquet", settings, title)
    return folder / "results.parquet"


def _require_one(runs: Sequence[TaskRun]) -> None:
    """Raise UsageError where several processes can't share what is to be done, which is the batches of one run."""
    settings = runs[0].settings
    if len(runs) > 1 or settings.grid or settings.probe:
        raise UsageError(
            "The processes of torchrun share the batches of one run: take --seeds 1, and neither --folds, --grid nor "
            "--probe."
        )


def _shared(run: TaskRun) -> Path:
    """Take this process's part of a run, which the first process prepares, judges and writes."""
    wait_for_all()
    rates = Rates(run.settings.learning_rate, run.settings.weight_decay)
    if not run.is_done(rates):
        run.finish(rates)
    return run.folder.parent / "results.parquet"


def run_all(several: Sequence[FinetuneSettings]) -> list[Path]:
    """Fine-tune on each task whose data are prepared, one after the other; return the paths of their results.parquet.

    Where a task fails, the others are still done. Raises SwclError at the end that names those that failed.
    """
    if started_processes() > 1:
        raise UsageError("The processes of torchrun share the batches of one run: name a task in place of all.")
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
    """List the runs in their order: the first seed on all folds, then the next seed.

    Raises SwclError where data or weights are missing.
    """
    if settings.task not in TASKS:
        raise UsageError(f"task {settings.task} is the command's: from Python, call run_all with the settings of each.")
    if settings.architecture is not None:
        require_network(settings.architecture)
    workspace = Workspace(settings.workspace)
    task = task_of(settings, workspace)
    KINDS[task.kind].require_settings(settings)
    if task.described:
        console.say(f"Labels that are learnt: {', '.join(task.heads)}. --heads chooses others.")
    manifest = manifest_of(workspace, task.dataset)
    initial = initialise_for(task, settings, settings.seed)
    console.say(f"Encoder: {initial.summary}.")
    inputs = {task.dataset: fingerprint(manifest), **initial.inputs}
    name = settings.name or row_name(initial.source, settings)
    try:
        plain_part(name)
    except ValueError as error:
        raise UsageError(f"--init gives the name {name!r}, but {error}. Choose one with --name.") from None
    if settings.probe and settings.seeds > 1 and settings.fraction == 1 and initial.inputs:
        console.say("A probe of all training photographs is the same with each seed: --seeds 1 is enough.")
    features = Features(workspace, task.dataset, settings.save_seconds) if settings.probe else None
    runs = [
        TaskRun(settings, workspace, task, name, initial.architecture, inputs, seed, fold, features)
        for seed in range(settings.seed, settings.seed + settings.seeds)
        for fold in (range(settings.folds) if settings.folds else (None,))
    ]
    return [replace(runs[0], trainings=len(ledger.trainings(runs))), *runs[1:]]


def _show_trainings(runs: Sequence[TaskRun]) -> None:
    """Show a table of all trainings with their state, where there are several."""
    trainings = ledger.trainings(runs)
    if len(trainings) > 1:
        title = f"{runs[0].task.name} from {runs[0].name}: {ledger.forecast(trainings)}"
        console.table(title, ("run", "state", "minutes"), ledger.rows(trainings))


def _gather(runs: Sequence[TaskRun]) -> None:
    """Join the tables of all runs to predictions.parquet, results.parquet and grid.parquet of the fine-tuning."""
    first = runs[0]
    settings = {**first.shared(), "seeds": first.settings.seeds}
    own = {"labels": [label.described() for label in first.task.own.values()]} if first.task.own else {}
    whole = provenance("finetune", settings, first.inputs, primary=first.task.measure, **own)
    kinds = {"predictions": runs, "results": runs, "grid": [run for run in runs if run.is_first and run.grid.exists()]}
    for kind, with_table in kinds.items():
        paths = [run.folder / f"{kind}.parquet" for run in with_table]
        parts = [_read(kind, first.workspace.require(path, "the same command with --fresh")) for path in paths]
        if parts:
            whole_table = pa.concat_tables(parts, promote_options="permissive")  # an older version chose other types
            write_parquet(first.folder.parent / f"{kind}.parquet", whole_table, whole)


def _read(kind: str, path: Path) -> pa.Table:
    """Read a table of a run; of predictions, which each kind of task has of its own, what they are said to hold."""
    tables = {"results": RESULTS, "grid": GRID}
    return read_columns(path, tables[kind]) if kind in tables else read_whole(path, PREDICTED + OF_RUN)


def _show_results(path: Path, settings: FinetuneSettings, title: str) -> None:
    """Show the mean of each measure over seeds, each the mean of its folds, and the standard deviation.

    The primary measure stands first; of the others SHOWN are told, or all if that was asked for. Where a measure has no
    value the reason stands in its place.
    """
    table = read_columns(path, RESULTS).to_pandas()
    tested = table[table["split"] == settings.eval].sort_values("primary", ascending=False, kind="stable")
    rows = []
    for measure, part in tested.groupby("measure", sort=False):
        values = part.groupby("seed")["value"].mean()
        spread = f" +- {values.std():.3f}" if len(values) > 1 else ""
        reasons = part["reason"].dropna()
        shown = f"none: {reasons.iloc[0]}" if values.isna().all() and len(reasons) else f"{values.mean():.3f}{spread}"
        rows.append((measure, shown, len(values)))
    told = rows if settings.all_measures else rows[: 1 + SHOWN]
    words = "test" if settings.eval == "test" else "validation, on which the epoch was chosen too"
    console.table(f"{title}: {words}", ("measure", "mean", "seeds"), told)
    if len(told) < len(rows):
        console.say(f"{len(rows) - len(told)} more measures are in {path}; --all-measures shows them here.")
