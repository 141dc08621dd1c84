"""Fine-tune an encoder on a task and evaluate it, by the paper's protocol (paper IV): the step `finetune`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from swcl_cli import console
from swcl_cli.audit.learnt import sentence_of_copies
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.cluster.mapping import cluster
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
from swcl_cli.tasks.spread import Chosen, train_on_workers
from swcl_cli.training.grid import Rates
from swcl_cli.training.processes import make_fabric, started_processes, wait_for_all
from swcl_cli.workspace import Workspace, fingerprint, locked, provenance, write_parquet

SHOWN = 5  # measures at the end beside the primary one


def run(settings: FinetuneSettings) -> Path:
    """Fine-tune with each seed on each fold, and judge the best epoch of each run; return the path of results.parquet.

    Under torchrun all processes train the one run as one: each takes its part of every batch. Raises SwclError where a
    file that these runs are to write was made differently, or by anything else.
    """
    if settings.scheduler:
        [end] = _run_on_workers(settings.scheduler, [settings])
        return _path(end)
    runs = _runs(settings)
    if started_processes() > 1:
        _require_one(runs)
        fabric = make_fabric(settings.accelerator, settings.precision, several=True)
        if not fabric.is_global_zero:
            return _shared(runs[0])
    with _held(runs):
        return _finetuned(runs)


@contextmanager
def _held(runs: Sequence[TaskRun]) -> Iterator[None]:
    """Make the runs ready, and hold their folder while the block runs."""
    runs[0].cautions()  # raises before anything is removed
    for run in runs:
        run.adopt()
    with locked(runs[0].log_folder.parent, "finetune"):
        if runs[0].settings.fresh:
            former.remove(runs)
        former.require_own_runs(runs)
        wait_for_all()
        _show_trainings(runs)
        yield


def _finetuned(runs: Sequence[TaskRun], trained: Chosen | None = None) -> Path:
    """Do what is not done yet of the runs, and join their tables. trained: on workers, at the rates of these grids."""
    settings, folder = runs[0].settings, runs[0].folder.parent
    title = f"{runs[0].task.name} from {runs[0].name}"

    def show_forecast() -> None:
        if len(trainings := ledger.trainings(runs)) > 1:
            console.say(f"{title}: {ledger.forecast(trainings)}.")

    first = runs[0]
    if text := sentence_of_copies(first.workspace, first.task.dataset, first.inputs, first.fold is not None):
        console.warn(text)
    chosen: Chosen = dict(trained or {})
    warned: set[str] = set()
    for run in runs:
        _warn(run, warned)
        if settings.grid and run.is_first and run.fold not in chosen:
            chosen[run.fold] = search(run, show_forecast)
        rates = chosen.get(run.fold, Rates(settings.learning_rate, settings.weight_decay))
        if run.is_done(rates):
            run.clear()
            if trained is None:
                console.say(f"{run}: This run is already done.")
        else:
            console.say(f"{run}")
            run.finish(rates)
            show_forecast()
    _gather(runs)
    _show_results(folder / "results.parquet", settings, title)
    return folder / "results.parquet"


def _warn(run: TaskRun, warned: set[str]) -> None:
    """Warn of the photographs of a run that is not done, unless it was told before."""
    if not run.model.exists():
        for text in sorted(set(run.cautions()) - warned):
            console.warn(text)
            warned.add(text)


def _run_on_workers(scheduler: str, several: Sequence[FinetuneSettings]) -> list[Path | SwclError]:
    """Fine-tune on several tasks at once, on the workers of a cluster; return the path of each's results, or its error.

    Runs that are trained are then judged and joined here, as those of a single process are.
    """
    if started_processes() > 1:
        raise UsageError("--scheduler and torchrun are two ways to use several processes: take one of them.")
    ends: dict[str, Path | SwclError] = {}
    begun: dict[str, list[TaskRun]] = {}
    with cluster(scheduler, several[0].workspace, "finetune") as workers, ExitStack() as held:
        for settings in several:
            with _noted(ends, settings.task):
                everywhere = settings.model_copy(update={"workspace": settings.workspace.absolute()})
                runs, warned = _runs(everywhere), set[str]()
                held.enter_context(_held(runs))
                for run in runs:
                    _warn(run, warned)
                begun[settings.task] = runs
        trained = train_on_workers(workers, list(begun.values()))
        for (task, runs), (chosen, error) in zip(begun.items(), trained, strict=True):
            with _noted(ends, task):
                if error:
                    raise SwclError(error)
                ends[task] = _finetuned(runs, chosen)
    return [ends[settings.task] for settings in several]


@contextmanager
def _noted(ends: dict[str, Path | SwclError], task: str) -> Iterator[None]:
    """Note an error of a task, so that others go on."""
    try:
        yield
    except (Interrupted, UsageError):
        raise
    except SwclError as error:
        ends[task] = error


def _path(end: Path | SwclError) -> Path:
    if isinstance(end, SwclError):
        raise end
    return end


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
    ends: dict[str, Path | SwclError] = {}
    failed: list[str] = []
    if scheduler := several[0].scheduler:
        ends |= zip((settings.task for settings in ready), _run_on_workers(scheduler, ready), strict=True)
    for settings in ready:
        if settings.task not in ends:
            with _noted(ends, settings.task):
                ends[settings.task] = run(settings)
        if isinstance(ends[settings.task], SwclError):
            console.fail(f"{settings.task}: {ends[settings.task]}")
            failed.append(settings.task)
    if failed:
        raise SwclError(f"{len(failed)} of {len(ready)} tasks could not be done: {', '.join(failed)}; see above.")
    return [_path(end) for end in ends.values()]


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
