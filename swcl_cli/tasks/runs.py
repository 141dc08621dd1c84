"""Train and judge a run of fine-tuning, of one task, initialisation, seed and fold, and write its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from lightning_fabric import Fabric

from swcl_cli.catalogue.tasks import Task
from swcl_cli.data import shared
from swcl_cli.data.columns import RESULTS
from swcl_cli.data.splits import divided
from swcl_cli.models.encoders import in_its_memory_format, load_weights
from swcl_cli.models.initialisation import Initial, initialise
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import KINDS, saved
from swcl_cli.tasks.cohorts import cohort
from swcl_cli.tasks.features import Features
from swcl_cli.tasks.fitting import Fitted, fit, freeze_encoder
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.probing import Probe
from swcl_cli.tasks.saved import Study
from swcl_cli.tasks.trial import Trial, prepare
from swcl_cli.training.grid import Rates
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import (
    LOG,
    MODEL,
    RESUME,
    RunFolder,
    Workspace,
    is_done,
    part_of,
    provenance,
    read_provenance,
    read_safetensors,
    remove_tree,
    run_name,
    write_parquet,
    write_safetensors,
)


@dataclass(frozen=True)
class Opened:
    """Hold the network of a run with its training data, the device that computes, and what fits a probe."""

    trial: Trial
    fabric: Fabric
    probe: Probe | None = None


@dataclass(frozen=True)
class TaskRun:
    """Describe a run, train it, and write the files of its folder.

    Predictions are written first and the model last, so that the model marks the run as complete. While a grid is
    searched, the weights of its points are in the folder too. `inputs`: fingerprints. `features`: what the runs of a
    probe share. `trainings`: as many of the command are foretold when this one begins.
    """

    settings: FinetuneSettings
    workspace: Workspace
    task: Task
    name: str  # of the initialisation
    architecture: str
    inputs: dict[str, str]
    seed: int
    fold: int | None
    features: Features | None = field(default=None, compare=False)
    trainings: int = field(default=1, compare=False)

    def __str__(self) -> str:
        return f"{self.task.name} from {self.name}, {self.run_name}"

    @property
    def run_name(self) -> str:
        return run_name(self.seed, self.fold)

    @property
    def folder(self) -> Path:
        return self.workspace.finetune(self.task.name, self.name) / self.run_name

    @property
    def log_folder(self) -> Path:
        return self._run_folder.folder

    @property
    def _run_folder(self) -> RunFolder:
        return self.workspace.finetuning(self.task.name, self.name, self.run_name)

    def adopt(self) -> None:
        """Take over the folder of this run that an older version made, if there is one."""
        self.workspace.adopt(self._run_folder)

    @property
    def model(self) -> Path:
        return self.folder / MODEL

    @property
    def grid(self) -> Path:
        return self.folder / "grid.parquet"

    @property
    def is_first(self) -> bool:
        """Return whether this run has the first seed, with which the grid is searched."""
        return self.seed == self.settings.seed

    def point(self, rates: Rates) -> Path:
        """Return the file of weights of a point of the grid."""
        return self.folder / "grid" / f"{rates.name}.safetensors"

    def labels(self) -> dict[str, Any]:
        """Return the columns by which tables name the run."""
        return {
            "task": self.task.name,
            "name": self.name,
            "run": self.run_name,
            "seed": self.seed,
            "fold": self.fold,
        }

    def shared(self) -> dict[str, Any]:
        """Return the settings that all runs of the fine-tuning share; rates are None where a grid chooses them."""
        rates = {"learning_rate": None, "weight_decay": None} if self.settings.grid else {}
        return {**self.settings.defining(), "architecture": self.architecture, **rates}

    def work(self, rates: Rates | None) -> dict[str, Any]:
        """Return the provenance of the run; without `rates`, the provenance of its grid."""
        chosen = asdict(rates) if rates and not self.settings.probe else {}
        settings = {**self.shared(), "seed": self.seed, **chosen}
        settings |= {} if self.fold is None else {"fold": self.fold}
        settings |= {"grid_seed": self.settings.seed} if self.settings.grid else {}
        return provenance("finetune", settings, self.inputs)

    def is_done(self, rates: Rates) -> bool:
        """Check whether the run is finished. Raises SwclError where its model was made differently."""
        return is_done(self.model, self.work(rates), fresh=False)

    def cautions(self) -> list[str]:
        """Return warnings about the photographs that train, a sentence each."""
        study = self._cohort()
        overlapping = shared.sentences(self.workspace, self.task.dataset)
        return [*overlapping, *study.remarks, *_leaks(self.task, study.rows), *KINDS[self.task.kind].cautions(study)]

    def fit(self, rates: Rates, log_folder: Path) -> Fitted:
        """Train with these rates. Only the log and resume state in `log_folder` are written."""
        return self._fit(self._open(), rates, log_folder)

    def finish(self, rates: Rates) -> None:
        """Train, or load the weights that the grid search trained; then test, once, and write the files of the run.

        Of several processes the first tests and writes.
        """
        opened, point = self._open(), self.point(rates)
        if point.exists():
            fitted = Fitted(read_safetensors(point), validation_of(point))
        else:
            fitted = self._fit(opened, rates, self.log_folder)
        if opened.fabric.is_global_zero:
            load_weights(opened.trial.network, fitted.weights, str(point))
            self._write(opened, self.work(rates), fitted)
            self.clear()
        opened.fabric.barrier()
        fitted.heed()

    def clear(self) -> None:
        """Remove what is not needed once the model is written: the resume state, and the weights of the grid."""
        (self.log_folder / RESUME).unlink(missing_ok=True)
        remove_tree(self.folder / "grid")

    def _cohort(self) -> Study:
        return cohort(self.task, self.settings, self.workspace, self.seed, self.fold)

    def _open(self) -> Opened:
        """Build the network of the run and its training data, on the device that computes."""
        initial = initialise_for(self.task, self.settings, self.seed)
        study = self._cohort()
        trial = prepare(study, initial, self.seed)
        if self.settings.freeze:
            freeze_encoder(initial.encoder, trial.objective)
        in_its_memory_format(trial.objective, initial.encoder)
        fabric = make_fabric(self.settings.accelerator, self.settings.precision, several=True)
        trial.objective.to(fabric.device)
        if self.features is None:
            return Opened(trial, fabric)
        probe = Probe(study, trial, fabric, self.features)
        return Opened(replace(trial, judge=probe.judge), fabric, probe)

    def _fit(self, opened: Opened, rates: Rates, log_folder: Path) -> Fitted:
        measure, work = self.task.measure, self.work(rates)
        if opened.probe:
            return opened.probe.fit(measure, log_folder / LOG)
        return fit(
            opened.trial, opened.fabric, self.settings, measure, rates, self.seed, log_folder, work, self.trainings
        )

    def _write(self, opened: Opened, work: dict[str, Any], fitted: Fitted) -> None:
        """Judge the trained network, and write predictions, results and model, in this order."""
        scored = self.settings.eval
        judgements = {
            split: opened.trial.judge(opened.fabric, split, self.folder if split == scored else None)
            for split in (("val", "test") if scored == "test" else ("val",))
        }
        named = {key: self.labels()[key] for key in ("task", "name", "run")}
        predictions = judgements[scored].predictions.assign(split=scored, **named)
        parts = [self._rows(split, judgement) for split, judgement in judgements.items()]
        results = pd.concat(parts, ignore_index=True)
        predicted = judgements[scored].columns.table(predictions)
        write_parquet(self.folder / "predictions.parquet", predicted, work)
        write_parquet(self.folder / "results.parquet", RESULTS.table(results), work)
        model = saved.as_provenance(opened.trial.model) | judgements[scored].facts
        tensors = opened.trial.network.state_dict()
        write_safetensors(self.model, tensors, {**work, saved.KEY: model, "validation": fitted.validation})

    def _rows(self, split: str, judgement: Judgement) -> pd.DataFrame:
        """Return the table of results of a split, a row for each measure."""
        none = (float("nan"), float("nan"))
        rows = [
            {
                **self.labels(),
                "split": split,
                "measure": measure,
                "value": value,
                "reason": judgement.reasons.get(measure),
                "primary": measure == self.task.measure,
                "low": judgement.intervals.get(measure, none)[0],
                "high": judgement.intervals.get(measure, none)[1],
            }
            for measure, value in judgement.measures.items()
        ]
        return pd.DataFrame(rows)


def _leaks(task: Task, rows: Mapping[str, pd.DataFrame]) -> list[str]:
    """Warn where photographs of one patient, or equal ones, are both learnt and tested."""
    table = pd.concat([part.assign(split=split) for split, part in rows.items()])
    leaking = table["group_id"].isin(divided(table["group_id"].tolist(), table["split"].tolist()))
    if not leaking.any():
        return []
    splits = " and ".join(sorted(table.loc[leaking, "split"].unique()))
    return [
        f"{task.dataset}: {leaking.sum():,} photographs in {splits} are of one patient or equal, such as "
        f"{table.loc[leaking, 'image_id'].iloc[0]}: what is tested was learnt."
    ]


def row_name(source: str, settings: FinetuneSettings) -> str:
    """Name a fine-tuning after its initial weights, and --probe, --freeze and --fraction where they are set."""
    frozen = "-probe" if settings.probe else "-frozen" if settings.freeze else ""
    return f"{source}{frozen}" + (f"-{settings.fraction:g}" if settings.fraction < 1 else "")


def initialise_for(task: Task, settings: FinetuneSettings, seed: int) -> Initial:
    """Load the initial encoder at the output stride that the task's network needs."""
    kind = KINDS[task.kind]
    initial = initialise(
        settings.init,
        settings.architecture,
        colours=settings.colours,
        seed=seed,
        output_stride=kind.output_stride(kind.facts(task, settings)),
        workspace=settings.workspace,
    )
    kind.require_encoder(initial, settings)
    return initial


def validation_of(path: Path) -> dict[str, float]:
    """Read how a training validated from its file of weights; `best` is among it. Raises SwclError."""
    made = read_provenance(path)
    part_of(path, made, ("validation", "best"), float)
    validation: dict[str, float] = part_of(path, made, ("validation",), dict[str, int | float])
    return validation
