"""`finetune`: an encoder -> models and scores of a public task, by the paper's protocol (paper IV)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from lightning_fabric import Fabric
from torch import nn

from swcl_cli import console
from swcl_cli.data import colour
from swcl_cli.data.loaders import step_batches
from swcl_cli.data.photographs import manifest_of
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.encoders import ARCHITECTURES, create_encoder, load_encoder
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import TASKS, Task, classification, segmentation
from swcl_cli.tasks.trial import Judgement, Trial
from swcl_cli.training.checkpoints import TrainState
from swcl_cli.training.loop import make_fabric, parameter_groups, training_steps
from swcl_cli.training.run import Run, is_begun
from swcl_cli.workspace import (
    Workspace,
    fingerprint,
    is_done,
    provenance,
    read_provenance,
    write_parquet,
    write_safetensors,
)

KINDS = {"classification": classification.prepare, "segmentation": segmentation.prepare}
DEFAULT_ARCHITECTURE = "resnetv2_50x1_bit"  # the paper's
PATIENCE = 1 / 5  # of the most epochs (FACTS E1b)
RESULTS = pa.schema(
    [
        ("task", pa.string()), ("name", pa.string()), ("run", pa.string()), ("seed", pa.int32()),
        ("split", pa.string()), ("measure", pa.string()), ("value", pa.float64()), ("primary", pa.bool_()),
        ("low", pa.float64()), ("high", pa.float64()),  # 95 % interval, null where there is none
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Initial:
    """Initial weights: what the encoder is, and where it comes from."""

    name: str
    architecture: str
    mean: colour.Colour
    std: colour.Colour
    path: Path | None

    def encoder(self, seed: int, output_stride: int) -> nn.Module:
        if self.path is None:
            return create_encoder(self.architecture, seed, output_stride)
        return load_encoder(self.path, output_stride)


def run(settings: FinetuneSettings) -> Path:
    """Fine-tunes with each seed and judges the best epoch on the test split; returns the path of results.parquet."""
    workspace, task = Workspace(settings.workspace), TASKS[settings.task]
    initial = _initial(settings, workspace)
    name = settings.name or initial.name
    folder = workspace.finetune(task.name, name)
    inputs = {task.dataset: fingerprint(manifest_of(workspace, task.dataset))}
    inputs |= {"init": fingerprint(initial.path)} if initial.path else {}
    defining = {**settings.defining(), "architecture": initial.architecture}

    seeds = range(settings.seed, settings.seed + settings.seeds)
    for number, seed in enumerate(seeds, start=1):
        work = provenance("finetune", {**defining, "seed": seed}, inputs)
        console.say(f"{task.name} from {name}: run {number} of {len(seeds)} (seed {seed})")
        one = OneRun(settings, workspace, task, initial, name, seed, work)
        if not is_begun(one.run_folder, work) and is_done(one.folder / "model.safetensors", work, settings.fresh):
            console.say("This run is already done.")
        else:
            one.train()

    whole = provenance("finetune", {**defining, "seeds": len(seeds)}, inputs, primary=task.measure)
    for kind in ("predictions", "results"):
        paths = [folder / f"seed{seed}" / f"{kind}.parquet" for seed in seeds]
        parts = [pq.read_table(workspace.require(path, "the same command with --fresh")) for path in paths]
        write_parquet(folder / f"{kind}.parquet", pa.concat_tables(parts), whole)
    _tell(folder / "results.parquet", f"{task.name} from {name}")
    return folder / "results.parquet"


@dataclass(frozen=True)
class OneRun:
    """One seed. The files of its folder are written predictions first, model last: the model marks it as complete."""

    settings: FinetuneSettings
    workspace: Workspace
    task: Task
    initial: Initial
    name: str
    seed: int
    work: dict[str, Any]

    @property
    def run_name(self) -> str:
        return f"seed{self.seed}"

    @property
    def folder(self) -> Path:
        return self.workspace.finetune(self.task.name, self.name) / self.run_name

    @property
    def run_folder(self) -> Path:
        return self.workspace.run(f"finetune-{self.task.name}-{self.name}-{self.run_name}")

    def train(self) -> None:
        """Trains until the validation measure has not risen for a fifth of the epochs; tests the best epoch, once."""
        settings, task, initial = self.settings, self.task, self.initial
        stride = segmentation.encoder_stride(settings) if task.kind == "segmentation" else 32
        encoder = initial.encoder(self.seed, stride)
        trial = KINDS[task.kind](
            task, settings, self.workspace, self.seed, encoder,
            ARCHITECTURES[initial.architecture].channels, initial.mean, initial.std,
        )  # fmt: skip
        fabric = make_fabric(settings.accelerator, settings.precision)
        if ARCHITECTURES[initial.architecture].batch_norm:
            trial.objective.to(memory_format=torch.channels_last)
        objective = fabric.setup_module(trial.objective)
        optimizer = torch.optim.SGD(
            parameter_groups(trial.objective, settings.weight_decay),
            lr=settings.learning_rate,
            momentum=0.9,
            nesterov=True,
        )
        total = trial.steps_per_epoch * settings.epochs
        counts = ", ".join(f"{count} {split}" for split, count in trial.images.items())
        if not all(trial.images.values()):
            raise SwclError(
                f"{task.dataset} has {counts} photographs: each split needs some. See swcl prep --split-file."
            )
        console.say(f"{counts} photographs; at most {total:,} steps ({settings.epochs} epochs).")
        state = TrainState(trial.objective, optimizer)
        job = Run(self.run_folder, self.work, state, settings.save_seconds, settings.fresh)
        batches = step_batches(trial.dataset, trial.plan, state.step, total, settings.workers)
        steps = training_steps(
            fabric, objective, optimizer, batches, lambda _: settings.learning_rate, self.seed, state.step
        )
        for step in job.follow(steps, total, settings.batch):
            epoch, done = divmod(step.index + 1, trial.steps_per_epoch)
            last = epoch == settings.epochs
            if done or (epoch % settings.validate_every and not last):
                continue
            value = trial.judge(fabric, "val", None).measures[task.measure]
            job.log(epoch=epoch - 1, validation=value)
            if "best" not in state.notes or value > state.notes["best"]:
                state.notes = {"best": value, "best_epoch": epoch - 1}
                state.kept = {key: tensor.clone() for key, tensor in trial.network.state_dict().items()}
            if epoch - 1 - state.notes["best_epoch"] >= math.ceil(PATIENCE * settings.epochs):
                break

        trial.network.load_state_dict(state.kept)
        self._write(trial, fabric, state.notes)
        job.finish()

    def _write(self, trial: Trial, fabric: Fabric, notes: dict[str, float]) -> None:
        judged = {
            split: trial.judge(fabric, split, self.folder if split == "test" else None) for split in ("val", "test")
        }
        predictions = judged["test"].predictions.assign(split="test", **self._labels())
        results = pd.concat([self._rows(split, judgement) for split, judgement in judged.items()], ignore_index=True)
        for kind, table, schema in (("predictions", predictions, None), ("results", results, RESULTS)):
            rows = pa.Table.from_pandas(table, schema, preserve_index=False)
            write_parquet(self.folder / f"{kind}.parquet", rows, self.work)
        settings, initial = self.settings, self.initial
        model = {
            "task": self.task.name, "kind": self.task.kind, "heads": dict(self.task.heads), "crop": settings.crop,
            "architecture": initial.architecture, "output_stride": settings.output_stride, "decoder": settings.decoder,
            "mean": initial.mean, "std": initial.std,
        }  # fmt: skip
        tensors = trial.network.state_dict()
        write_safetensors(
            self.folder / "model.safetensors", tensors, {**self.work, "model": model, "validation": notes}
        )

    def _labels(self) -> dict[str, str]:
        return {"task": self.task.name, "name": self.name, "run": self.run_name}

    def _rows(self, split: str, judgement: Judgement) -> pd.DataFrame:
        """One row a measure."""
        none = (float("nan"), float("nan"))
        rows = [
            {
                **self._labels(), "seed": self.seed, "split": split, "measure": measure, "value": value,
                "primary": measure == self.task.measure, "low": judgement.intervals.get(measure, none)[0],
                "high": judgement.intervals.get(measure, none)[1],
            }
            for measure, value in judgement.measures.items()
        ]  # fmt: skip
        return pd.DataFrame(rows)


def _initial(settings: FinetuneSettings, workspace: Workspace) -> Initial:
    """Raises SwclError where the file is missing or is no encoder: never a training from scratch by mistake."""
    if settings.init == "random":
        return Initial(
            "random", settings.architecture or DEFAULT_ARCHITECTURE, *colour.constants(settings.colours), None
        )
    places = (Path(settings.init), workspace.root / settings.init)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise SwclError(
            f"--init {settings.init}: no such file here or in {workspace.root}. Make one with: swcl pretrain"
        )
    encoder = read_provenance(path).get("encoder")
    if encoder is None:
        raise SwclError(f"{path} holds no encoder. Encoders are made by: swcl pretrain")
    if settings.architecture not in (None, encoder["architecture"]):
        raise UsageError(f"{path} holds a {encoder['architecture']}, not the --architecture {settings.architecture}.")
    return Initial(path.stem, encoder["architecture"], tuple(encoder["mean"]), tuple(encoder["std"]), path)


def _tell(path: Path, title: str) -> None:
    table = pd.read_parquet(path)
    rows = []
    for measure, part in table[table["split"] == "test"].groupby("measure", sort=False):
        spread = f" +- {part['value'].std():.3f}" if len(part) > 1 else ""
        rows.append((measure, f"{part['value'].mean():.3f}{spread}", len(part)))
    console.table(f"{title}: test", ("measure", "mean", "runs"), rows)
