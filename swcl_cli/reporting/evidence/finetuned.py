"""Read what fine-tuning left: results, predictions and grids of each task and initialisation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swcl_cli.catalogue.labels import Label, read_label
from swcl_cli.catalogue.tasks import CLASSIFICATION, SEGMENTATION, TASKS
from swcl_cli.data.columns import NUMBERS
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.reporting.evidence import columns
from swcl_cli.reporting.evidence.columns import LIKELIHOOD, POSITIVE
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.evidence.damage import unusable
from swcl_cli.reporting.evidence.reader import Reader, read_frame
from swcl_cli.workspace import FINETUNE, Workspace

OWN_COLUMN = {"classified": "head", "segmented": "structure"}


def read_finetuned(workspace: Workspace, reader: Reader, contents: Contents) -> None:
    """Read results, predictions and grids of each task and name. Of a copied folder the folder's own names count."""
    held = ("results", "classified", "numbers", "segmented", "grids")
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in held}
    for path in [folder / "results.parquet" for folder in workspace.finetuned()]:
        if not path.exists():
            continue
        task, name = path.parent.parent.name, path.parent.name
        results = reader.read(path, partial(_of_task, task, partial(read_frame, columns.RESULTS)))
        artefact = reader.artefact(path, FINETUNE) if results is not None else None
        if results is None or artefact is None:
            continue
        contents.finetuned[task, name] = artefact
        for label in contents.attempt(partial(_labels, artefact), file=workspace.relative(path)) or ():
            contents.labels |= {(task, part.name): part for part in (label, *label.parts)}
        for part in sorted(path.parent.glob("*/results.parquet")):
            run = reader.artefact(part, FINETUNE)
            if run is not None:
                contents.runs[task, name, part.parent.name] = run
        predictions, grid = path.with_name("predictions.parquet"), path.with_name("grid.parquet")
        if not predictions.exists():
            contents.damaged.append(unusable(workspace.relative(predictions), FileNotFoundError(), workspace.root))
        frames_here = {"results": results}
        kind = reader.read(predictions, partial(_kind, str(artefact.settings.get("task"))))
        if kind:
            read = _classified if kind == "classified" else partial(read_frame, columns.SEGMENTED)
            frames_here[kind] = reader.read(predictions, partial(_of_task, task, read))
        if kind == "classified" and has_numbers(predictions):
            frames_here["numbers"] = reader.read(predictions, partial(_of_task, task, _numbers))
        frames_here["grids"] = reader.read(grid, partial(read_frame, columns.GRID))
        for key, frame in frames_here.items():
            frames[key] += [] if frame is None else [frame.assign(task=task, name=name)]
    for key, parts in frames.items():
        if parts:
            setattr(contents, key, pd.concat(parts, ignore_index=True))


def _of_task(task: str, read: Callable[[Path], pd.DataFrame], path: Path) -> pd.DataFrame:
    frame = read(path)
    if others := set(frame["task"]) - {task}:
        raise SwclError(f"it is of the task {min(others)}")
    return frame


def _labels(artefact: Artefact) -> list[Label]:
    """Return the labels of people's own that a fine-tuning tells of."""
    return [read_label(described) for described in artefact.provenance.get("labels", ())]


def _kind(task: str, path: Path) -> str:
    """Tell which predictions these are by their own column; empty where no figure shows this kind of task."""
    names = pq.read_schema(path).names
    kind = next((kind for kind, column in OWN_COLUMN.items() if column in names), "")
    if not kind and task in TASKS and TASKS[task].kind in (CLASSIFICATION, SEGMENTATION):
        raise SwclError(f"it has no column {' or '.join(OWN_COLUMN.values())}")
    return kind


def has_numbers(path: Path) -> bool:
    """Tell whether predictions of a classification are of numbers, too."""
    return set(NUMBERS.names) <= set(pq.read_schema(path).names)


def _numbers(path: Path) -> pd.DataFrame:
    """Read the predictions of numbers. Raises SwclError where a row has one of the two alone."""
    table = read_columns(path, columns.NUMBERS)
    lacking = [pc.is_null(table[name], nan_is_null=True) for name in NUMBERS.names]
    if pc.any(pc.xor(*lacking)).as_py():
        raise SwclError("a row has not both the true and the predicted number")
    return table.filter(pc.invert(lacking[0])).to_pandas()


def _classified(path: Path) -> pd.DataFrame:
    """Read predictions as CLASS_COLUMNS. Raises SwclError where a row has not the probabilities of its classes."""
    table = read_columns(path, columns.CLASSIFIED)
    if has_numbers(path):
        table = table.filter(pc.is_null(read_columns(path, columns.NUMBERS)["true_number"], nan_is_null=True))
    if pc.any(pc.or_(pc.is_null(table["truth"]), pc.is_null(table["prediction"]))).as_py():
        raise SwclError("a row has no class")
    lists = table["probabilities"].combine_chunks()
    truth, prediction = table["truth"].to_numpy(), table["prediction"].to_numpy()
    classes = pc.list_value_length(lists).fill_null(0).to_numpy()
    starts = np.cumsum(classes) - classes
    flat = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    named = (np.minimum(truth, prediction) >= 0) & (np.maximum(truth, prediction) < classes)
    if not (named.all() and ((flat >= 0) & (flat < 1.001)).all()):
        raise SwclError("a row has not the probabilities of its classes")
    frame = table.drop_columns("probabilities").to_pandas()
    frame[LIKELIHOOD] = flat[starts + truth].astype(np.float32)
    flat[starts] = 0
    frame[POSITIVE] = np.minimum(np.add.reduceat(flat, starts), 1)
    return frame
