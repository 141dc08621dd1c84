"""Fine-tunings as `finetune` leaves them: the files of each run and the tables that join them, from made-up answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray

from swcl_cli import chance
from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.columns import RESULTS
from swcl_cli.evaluation.class_measures import class_measures
from swcl_cli.evaluation.pixel_measures import Outcomes, pixel_measures, ratio_error
from swcl_cli.evaluation.pixel_tally import Histograms
from swcl_cli.evaluation.resampling import Measure, counted_auc, evaluate
from swcl_cli.settings import ROWS, FinetuneSettings
from swcl_cli.workspace import Workspace, fingerprint, provenance, write_parquet, write_safetensors
from tests.reporting.large_logs import Size, falling_loss, write_log

BOUNDS = np.array([-np.inf, *np.linspace(-7, -0.05, 199), 2.0**-24, *np.linspace(0.05, 3, 55)], np.float32)  # log odds
VESSEL, BACKGROUND = 25_000, 300_000  # pixels of a photograph
Columns = dict[str, pa.Array]


@dataclass(frozen=True)
class Made:
    """One run: `skill` from 0 to 1 is how often it is right; rows: the manifest's of what it tests."""

    workspace: Workspace
    task: Task
    name: str
    seed: int
    fold: int | None
    rows: pd.DataFrame
    skill: float

    @property
    def run(self) -> str:
        return f"seed{self.seed}" if self.fold is None else f"fold{self.fold}-seed{self.seed}"

    @property
    def rng(self) -> np.random.Generator:
        return chance.generator(self.seed, f"large {self.task.name} {self.name}", item=self.fold or 0)

    def text(self, values: Sequence[str] | str) -> pa.Array:
        return pa.array([values] * len(self.rows) if isinstance(values, str) else values, pa.large_string())

    def about(self, *columns: str) -> Columns:
        return {column: pa.array(self.rows[column], pa.string()) for column in columns}


def finetune(
    workspace: Workspace, task: Task, name: str, init: str | None, table: pd.DataFrame, skill: float, size: Size
) -> None:
    """All runs of one initialisation; table: the rows of the manifest."""
    row = {**ROWS["finetune"][task.name], "seeds": size.seeds, "task": task.name}
    row |= {"folds": size.folds} if "folds" in row else {}
    settings = {**FinetuneSettings.model_validate(row).defining(), "architecture": "resnetv2_50x1_bit"}
    inputs = {task.name: fingerprint(workspace.manifest(task.dataset)), **({"init": init} if init else {})}
    folder = workspace.finetune(task.name, name)
    joined: dict[str, list[pa.Table]] = {"predictions": [], "results": []}
    judge = _classified if task.kind == "classification" else _segmented
    for made in _runs(workspace, task, name, table, skill, size):
        predictions, measures = judge(made)
        named = {"split": "test", "task": task.name, "name": name, "run": made.run}
        heads = len(next(iter(predictions.values()))) // len(made.rows)
        predictions |= {key: pa.concat_arrays([made.text(text)] * heads) for key, text in named.items()}
        tables = {"predictions": pa.table(predictions), "results": _results(made, measures)}
        work = provenance("finetune", {**settings, "seed": made.seed}, inputs)
        for kind, rows in tables.items():
            write_parquet(folder / made.run / f"{kind}.parquet", rows, work)
            joined[kind].append(rows)
        write_safetensors(folder / made.run / "model.safetensors", {"head.weight": torch.zeros(1)}, work)
        rising = np.linspace(0.3, 0.7, size.epochs)
        steps = falling_loss(size.finetune_steps, made.seed, 1.5)
        write_log(workspace.finetuning(task.name, name, made.run), steps, {"validation": rising, "seconds": rising})
    work = provenance("finetune", {**settings, "seeds": size.seeds}, inputs, primary=task.measure)
    for kind, parts in joined.items():
        write_parquet(folder / f"{kind}.parquet", pa.concat_tables(parts), work)


def _runs(workspace: Workspace, task: Task, name: str, table: pd.DataFrame, skill: float, size: Size) -> Iterator[Made]:
    tested = table[table["split"] == "test"].reset_index(drop=True)
    for seed in range(size.seeds):
        if len(tested):
            yield Made(workspace, task, name, seed, None, tested, skill)
        else:
            for fold in range(size.folds):
                yield Made(workspace, task, name, seed, fold, table[fold :: size.folds].reset_index(drop=True), skill)


def _classified(made: Made) -> tuple[Columns, Mapping[str, Measure]]:
    rng, truths, scores, parts = made.rng, {}, {}, []
    for head, classes in made.task.heads.items():
        grades = made.rows[head].to_numpy(dtype=np.int64)
        truth = np.array(made.task.grades.get(head, range(classes)))[grades]
        logits = rng.normal(0, 1, (len(truth), classes)) + 3 * made.skill * np.eye(classes)[truth]
        odds = np.exp(logits)
        truths[head], scores[head] = truth, (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        parts.append(
            made.about("image_id", "patient_id", "path")
            | {
                "head": made.text(head),
                "truth": pa.array(truth),
                "prediction": pa.array(scores[head].argmax(axis=1)),
                "probabilities": lists(scores[head]),
            }
        )
    joined = {key: pa.concat_arrays([part[key] for part in parts]) for key in parts[0]}
    return joined, class_measures(truths, scores, dict.fromkeys(truths, 0.5))


def _segmented(made: Made) -> tuple[Columns, Mapping[str, Measure]]:
    rng, structures, parts, count = made.rng, {}, [], len(made.rows)
    ratios = rng.random((2, count))
    for head in made.task.heads:
        pixels = _pixels(rng, count, made.skill)
        outcomes = Outcomes.of(pixels)
        structures[head] = pixels, float(counted_auc(pixels.positive.sum(0)[None], pixels.negative.sum(0)[None])[0])
        suffix = f"_{head}" if len(made.task.heads) > 1 else ""
        folder = made.workspace.finetune(made.task.name, made.name) / made.run / "maps"
        maps = [made.workspace.relative(folder / f"{name}{suffix}.png") for name in made.rows["image_id"]]
        shades = np.tile(np.array(made.task.structures.codes_of(head), np.int16), (count, 1))
        part = made.about("image_id", "patient_id", "path", "mask_path", "fov_path") | {
            "structure": made.text(head),
            "shades": lists(shades),
            "map_path": made.text(maps),
            "f1": pa.array(outcomes.f1),
            "true_positives": pa.array(outcomes.true_positives),
            "false_positives": pa.array(outcomes.false_positives),
            "false_negatives": pa.array(outcomes.false_negatives),
            "true_negatives": pa.array(outcomes.true_negatives),
        }
        if made.task.ratio:
            part |= {"cup_to_disc_truth": pa.array(ratios[0]), "cup_to_disc": pa.array(ratios[1])}
        for suffix in ("", "_fov") if made.rows["fov_path"].notna().all() else ("",):
            part[f"log_odds{suffix}"] = lists(np.tile(pixels.bound, (count, 1)))
            part[f"positives{suffix}"], part[f"negatives{suffix}"] = lists(pixels.positive), lists(pixels.negative)
        parts.append(part)
    measures = pixel_measures(structures)
    if made.task.ratio:
        measures["cup_to_disc_error"] = ratio_error(ratios[0], ratios[1], "disc")
    if "log_odds_fov" in parts[0]:
        measures |= pixel_measures(structures, "_fov")
    return {key: pa.concat_arrays([part[key] for part in parts]) for key in parts[0]}, measures


def _pixels(rng: np.random.Generator, count: int, skill: float) -> Histograms:
    """Pixels of vessels lie to the right of the others, the farther the better the run, in each photograph a little
    differently.
    """
    place, shift = np.linspace(-4, 2, len(BOUNDS)), rng.normal(0, 0.3, (count, 1))

    def drawn(pixels: int, middle: float) -> NDArray[np.int64]:
        density = np.exp(-((place - middle - shift) ** 2) / 2)
        counts: NDArray[np.int64] = rng.poisson(pixels * density / density.sum(axis=1, keepdims=True))
        return counts

    return Histograms(BOUNDS, positive=drawn(VESSEL, 2 * skill), negative=drawn(BACKGROUND, -3.0))


def lists(rows: NDArray[Any]) -> pa.Array:
    """(N, K) -> N lists."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.ravel()))


def _results(made: Made, measures: Mapping[str, Measure]) -> pa.Table:
    """Intervals are those of the normal distribution: a bootstrap of each run would take minutes."""
    count = len(made.rows)
    values, reasons = evaluate(measures, count)
    rows = []
    for split, lower in (("val", 0.01), ("test", 0.0)):
        for measure, value in values.items():
            half = 1.96 * np.sqrt(max(value * (1 - value), 0) / count)
            rows.append(
                {
                    "task": made.task.name, "name": made.name, "run": made.run, "seed": made.seed, "fold": made.fold,
                    "split": split, "measure": measure, "value": value - lower, "reason": reasons.get(measure),
                    "primary": measure == made.task.measure,
                    "low": max(value - half, 0) if split == "test" else None,
                    "high": min(value + half, 1) if split == "test" else None,
                }
            )  # fmt: skip
    return pa.Table.from_pylist(rows, RESULTS.schema)
