"""A run of fine-tuning: one task, initialisation, seed and fold; its folders, what defines it, and what it writes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from lightning_fabric import Fabric
from safetensors.torch import load_file

from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.columns import RESULTS
from swcl_cli.models.encoders import in_its_memory_format
from swcl_cli.models.initialisation import Initial, initialise
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import KINDS, saved
from swcl_cli.tasks.cohorts import cohort
from swcl_cli.tasks.fitting import Fitted, Rates, fit, frozen
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.saved import Study
from swcl_cli.tasks.trial import Trial, prepare
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import (
    MODEL,
    RESUME,
    RunFolder,
    Workspace,
    is_done,
    provenance,
    read_provenance,
    remove_tree,
    run_name,
    write_parquet,
    write_safetensors,
)


@dataclass(frozen=True)
class Opened:
    """Hold what a run trains and judges, and what it computes on."""

    trial: Trial
    fabric: Fabric


@dataclass(frozen=True)
class TaskRun:
    """The files of its folder are written predictions first, model last: the model marks it as complete.

    While a grid is searched, the weights of its points lie there too. `inputs`: fingerprints.
    """

    settings: FinetuneSettings
    workspace: Workspace
    task: Task
    name: str  # of the initialisation
    architecture: str
    inputs: dict[str, str]
    seed: int
    fold: int | None

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
        return self._kept.folder

    @property
    def _kept(self) -> RunFolder:
        return self.workspace.finetuning(self.task.name, self.name, self.run_name)

    def adopt(self) -> None:
        """Take over what an older version of the program has begun of it."""
        self.workspace.adopt(self._kept)

    @property
    def model(self) -> Path:
        return self.folder / MODEL

    @property
    def grid(self) -> Path:
        return self.folder / "grid.parquet"

    @property
    def is_first(self) -> bool:
        """Whether the grid is searched with it."""
        return self.seed == self.settings.seed

    def point(self, rates: Rates) -> Path:
        return self.folder / "grid" / f"{rates.name}.safetensors"

    def labels(self) -> dict[str, Any]:
        return {
            "task": self.task.name, "name": self.name, "run": self.run_name, "seed": self.seed, "fold": self.fold,
        }  # fmt: skip

    def shared(self) -> dict[str, Any]:
        """The settings that define it and the runs beside it: of a grid search no rates, which it chooses."""
        rates = {"learning_rate": None, "weight_decay": None} if self.settings.grid else {}
        return {**self.settings.defining(), "architecture": self.architecture, **rates}

    def work(self, rates: Rates | None) -> dict[str, Any]:
        """Its provenance; without `rates`, that of its grid."""
        settings = {**self.shared(), "seed": self.seed, **(asdict(rates) if rates else {})}
        settings |= {} if self.fold is None else {"fold": self.fold}
        settings |= {"grid_seed": self.settings.seed} if self.settings.grid else {}
        return provenance("finetune", settings, self.inputs)

    def is_done(self, rates: Rates) -> bool:
        """Raises SwclError where its model is of other work."""
        return is_done(self.model, self.work(rates), fresh=False)

    def cautions(self) -> list[str]:
        """What the user should know of its photographs before they train."""
        return KINDS[self.task.kind].cautions(self.task, self._cohort().rows["train"])

    def fit(self, rates: Rates, log_folder: Path) -> Fitted:
        """A training; nothing is written but what `log_folder` needs to resume it."""
        return self._fit(self._open(), rates, log_folder)

    def finish(self, rates: Rates) -> None:
        """Trains, or takes the weights that the grid has found; tests, once, and writes all that is kept."""
        opened, point = self._open(), self.point(rates)
        if point.exists():
            fitted = Fitted(load_file(point), read_provenance(point)["validation"])
        else:
            fitted = self._fit(opened, rates, self.log_folder)
        opened.trial.network.load_state_dict(fitted.weights)
        self._write(opened, self.work(rates), fitted)
        self.clear()
        fitted.heed()

    def clear(self) -> None:
        """Drops what was needed until its model was written: the resume state, and the weights of its grid."""
        (self.log_folder / RESUME).unlink(missing_ok=True)
        remove_tree(self.folder / "grid")

    def _cohort(self) -> Study:
        return cohort(self.task, self.settings, self.workspace, self.seed, self.fold)

    def _open(self) -> Opened:
        initial = initialise_for(self.task, self.settings, self.seed)
        trial = prepare(self._cohort(), initial, self.seed)
        if self.settings.freeze:
            frozen(initial.encoder, trial.objective)
        in_its_memory_format(trial.objective, initial.encoder)
        fabric = make_fabric(self.settings.accelerator, self.settings.precision)
        trial.objective.to(fabric.device)
        return Opened(trial, fabric)

    def _fit(self, opened: Opened, rates: Rates, log_folder: Path) -> Fitted:
        measure, work = self.task.measure, self.work(rates)
        return fit(opened.trial, opened.fabric, self.settings, measure, rates, self.seed, log_folder, work)

    def _write(self, opened: Opened, work: dict[str, Any], fitted: Fitted) -> None:
        scored = self.settings.eval
        judged = {
            split: opened.trial.judge(opened.fabric, split, self.folder if split == scored else None)
            for split in (("val", "test") if scored == "test" else ("val",))
        }
        named = {key: self.labels()[key] for key in ("task", "name", "run")}
        predictions = judged[scored].predictions.assign(split=scored, **named)
        results = pd.concat([self._rows(split, judgement) for split, judgement in judged.items()], ignore_index=True)
        predicted = judged[scored].columns.table(predictions)
        write_parquet(self.folder / "predictions.parquet", predicted, work)
        write_parquet(self.folder / "results.parquet", RESULTS.table(results), work)
        model = saved.as_provenance(opened.trial.model)
        tensors = opened.trial.network.state_dict()
        write_safetensors(self.model, tensors, {**work, saved.KEY: model, "validation": fitted.validation})

    def _rows(self, split: str, judgement: Judgement) -> pd.DataFrame:
        """One row a measure."""
        none = (float("nan"), float("nan"))
        rows = [
            {
                **self.labels(), "split": split, "measure": measure, "value": value,
                "reason": judgement.reasons.get(measure), "primary": measure == self.task.measure,
                "low": judgement.intervals.get(measure, none)[0], "high": judgement.intervals.get(measure, none)[1],
            }
            for measure, value in judgement.measures.items()
        ]  # fmt: skip
        return pd.DataFrame(rows)


def initialise_for(task: Task, settings: FinetuneSettings, seed: int) -> Initial:
    """Load the encoder, at the output stride that the task's network wants."""
    kind = KINDS[task.kind]
    return initialise(
        settings.init,
        settings.architecture,
        colours=settings.colours,
        seed=seed,
        output_stride=kind.output_stride(kind.facts(task, settings)),
        workspace=settings.workspace,
    )
