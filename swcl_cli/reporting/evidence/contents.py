"""What a workspace holds, read for the report. A file that can't be read is named; the rest is still used."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file

from swcl_cli.errors import SwclError
from swcl_cli.reporting.evidence import stored
from swcl_cli.reporting.evidence.damage import failed, remedy, unusable
from swcl_cli.reporting.evidence.logs import read_log
from swcl_cli.reporting.evidence.stored import read_table
from swcl_cli.reporting.evidence.unfinished import Progress, Tuned, Unfinished
from swcl_cli.settings import STEPS
from swcl_cli.workspace import LOG, Workspace, differences, fingerprint

T = TypeVar("T")
POSITIVE, LIKELIHOOD = "positive", "likelihood"  # probabilities of any class above 0, and of the true class
RESULT_COLUMNS = tuple(stored.RESULTS.names)
CLASS_COLUMNS = (*stored.CLASSIFIED.names[:-1], POSITIVE, LIKELIHOOD)
PIXEL_COLUMNS = tuple(stored.SEGMENTED.names)
MEASURED = ("auc", "auc_low", "auc_high", "best_auc", "best_epoch")  # what a labeler remembers of its validation


@dataclass(frozen=True)
class Artefact:
    """A file of ours: its path in the workspace, what it remembers, and the fingerprint of its bytes."""

    path: str
    provenance: dict[str, Any]
    fingerprint: str

    @property
    def settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.provenance.get("settings", {})
        return settings


@dataclass(frozen=True)
class DataSet:
    name: str
    artefact: Artefact
    images: pd.DataFrame
    problems: Counter[str]  # how often quarantine.csv lists each


@dataclass
class Contents:
    """Everything that the report speaks of. `damaged` says what was there and could not be used."""

    root: Path
    phantom: bool
    datasets: dict[str, DataSet] = field(default_factory=dict)
    labeler: Artefact | None = None
    labeler_scores: pd.DataFrame | None = None
    swap: Artefact | None = None
    patches: pd.DataFrame | None = None
    cams: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    encoders: dict[str, Artefact] = field(default_factory=dict)
    finetuned: dict[tuple[str, str], Artefact] = field(default_factory=dict)
    runs: dict[tuple[str, str, str], Artefact] = field(default_factory=dict)  # behind them, where their folder is here
    results: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RESULT_COLUMNS)))
    classified: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(CLASS_COLUMNS)))
    segmented: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PIXEL_COLUMNS)))
    grids: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(stored.GRID.names)))
    logs: dict[str, pd.DataFrame] = field(default_factory=dict)
    unfinished: list[Unfinished] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)  # what lay under one name, and was made differently
    repeated: list[str] = field(default_factory=list)  # runs that are stored twice with different values

    @property
    def empty(self) -> bool:
        return not (self.artefacts() or self.logs or self.unfinished)

    def tried(self, read: Callable[[], T], words: str = "", file: str = "") -> T | None:
        """What `read` returns, or None and a line in `damaged`: damage to one file never hides the rest.

        file: what is read, where it is a file of the workspace; else `words` begin the line.
        """
        try:
            return read()
        except Exception as error:  # damage makes the readers of parquet, safetensors, json and images raise anything
            line = unusable(file, error, self.root) if file else words + failed(error, self.root)
            if line not in self.damaged:
                self.damaged.append(line)
            return None

    def artefacts(self) -> list[Artefact]:
        """In the order in which they were made."""
        single = [artefact for artefact in (self.labeler, self.swap) if artefact]
        prepared = [dataset.artefact for dataset in self.datasets.values()]
        return [*prepared, *single, *self.encoders.values(), *self.finetuned.values()]


def read_contents(workspace: Workspace) -> Contents:
    """Raises SwclError where the workspace holds nothing that a report could show."""
    contents = Contents(workspace.root, phantom=workspace.phantom.is_dir())
    reader = _Reader(workspace, contents)
    for name in workspace.prepared():
        images = reader.attempt(workspace.manifest(name), partial(_frame, stored.MANIFEST))
        artefact = None if images is None else reader.artefact(workspace.manifest(name), "prep")
        if images is not None and artefact:
            problems = reader.attempt(workspace.quarantine(name), _problems)
            contents.datasets[name] = DataSet(name, artefact, images, problems or Counter())
    contents.labeler = reader.attempt(workspace.labeler, partial(_labeler, workspace))
    contents.labeler_scores = reader.attempt(workspace.labeler_scores, partial(_labeler_scores, contents.labeler))
    contents.patches = reader.attempt(workspace.swap, partial(_frame, stored.SWAP))
    contents.swap = None if contents.patches is None else reader.artefact(workspace.swap, "make-swap", ["threshold"])
    contents.patches = contents.patches if contents.swap else None
    cams = workspace.run("make-swap") / "cams.safetensors"
    contents.cams = reader.attempt(cams, _maps) or {}
    for path in sorted(workspace.root.glob("*.safetensors")):
        if path != workspace.labeler and reader.attempt(path, stored.is_ours):
            encoder = reader.attempt(path, partial(_encoder, workspace))
            if encoder:
                contents.encoders[path.stem] = encoder
    _read_finetuned(workspace, reader, contents)
    _read_runs(workspace, reader, contents)
    if contents.empty:
        start = "Start with `swcl prep phantom` or `swcl prep odir SOURCE`, then `swcl train-labeler`. Or: make demo"
        raise SwclError("\n".join([f"{workspace.root} holds nothing to report yet.", *(contents.damaged or [start])]))
    return contents


class _Reader:
    """Reads what is there; what can't be read is noted in the contents."""

    def __init__(self, workspace: Workspace, contents: Contents) -> None:
        self.workspace, self.contents = workspace, contents

    def attempt(self, path: Path, read: Callable[[Path], T]) -> T | None:
        """None where the file is missing or damaged."""
        if not path.exists():
            return None
        return self.contents.tried(lambda: read(_filled(path)), file=self.workspace.relative(path))

    def artefact(self, path: Path, step: str, required: Sequence[str] = ()) -> Artefact | None:
        """Of this step, with these settings."""
        return self.attempt(path, lambda path: _artefact(self.workspace, path, step, required))


def _filled(path: Path) -> Path:
    if path.suffix in (".parquet", ".safetensors", ".csv") and not path.stat().st_size:
        raise SwclError("it is empty")
    return path


def _artefact(workspace: Workspace, path: Path, step: str, required: Sequence[str] = ()) -> Artefact:
    return Artefact(workspace.relative(path), stored.described(path, [step], required), fingerprint(path))


def _frame(schema: pa.Schema, path: Path) -> pd.DataFrame:
    return read_table(path, schema).to_pandas()


def _labeler(workspace: Workspace, path: Path) -> Artefact:
    labeler = _artefact(workspace, path, "train-labeler")
    measured = labeler.provenance.get("validation", {})
    if measured and (lacking := [name for name in MEASURED if not isinstance(measured.get(name), int | float)]):
        raise SwclError(f"it does not say its {', '.join(lacking)}: it is of another version")
    return labeler


def _encoder(workspace: Workspace, path: Path) -> Artefact | None:
    """None where it is a copy of a labeler or of a fine-tuned model."""
    made = stored.described(path, ["pretrain", "finetune", "train-labeler"])
    return _artefact(workspace, path, "pretrain") if made["step"] == "pretrain" else None


def _classified(path: Path) -> pd.DataFrame:
    """CLASS_COLUMNS. Raises SwclError where a row has not the probabilities of its classes."""
    table = read_table(path, stored.CLASSIFIED)
    listed = table["probabilities"].combine_chunks()
    truth, prediction = table["truth"].to_numpy(), table["prediction"].to_numpy()
    classes = pc.list_value_length(listed).fill_null(0).to_numpy()
    starts = np.cumsum(classes) - classes
    flat = listed.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    named = (np.minimum(truth, prediction) >= 0) & (np.maximum(truth, prediction) < classes)
    if not (named.all() and ((flat >= 0) & (flat < 1.001)).all()):
        raise SwclError("a row has not the probabilities of its classes")
    frame = table.drop_columns("probabilities").to_pandas()
    frame[LIKELIHOOD] = flat[starts + truth].astype(np.float32)
    flat[starts] = 0
    frame[POSITIVE] = np.minimum(np.add.reduceat(flat, starts), 1)
    return frame


def _labeler_scores(labeler: Artefact | None, path: Path) -> pd.DataFrame:
    frame = _frame(stored.LABELER_SCORES, path)
    if labeler is None or differences(stored.described(path, ["train-labeler"]), labeler.provenance):
        raise SwclError("it is not of the labeler that is here")
    return frame


def _maps(path: Path) -> dict[str, NDArray[np.uint8]]:
    found = dict(sorted(load_file(path).items()))
    if any(part.ndim != 2 or part.dtype != np.uint8 for part in found.values()):
        raise SwclError("it holds something else than maps")
    return found


def _problems(path: Path) -> Counter[str]:
    with path.open(encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle)
        if "problem" not in (rows.fieldnames or ()):
            raise SwclError("it has no column problem")
        return Counter(row["problem"] or "no problem named" for row in rows)


def _read_finetuned(workspace: Workspace, reader: _Reader, contents: Contents) -> None:
    found: dict[str, list[pd.DataFrame]] = {"results": [], "classified": [], "segmented": [], "grids": []}
    for path in sorted(workspace.root.glob("finetune/*/*/results.parquet")):
        place = {"task": path.parent.parent.name, "name": path.parent.name}  # of a copied folder the folder's own
        frame = reader.attempt(path, partial(_of_task, place["task"], partial(_frame, stored.RESULTS)))
        artefact = reader.artefact(path, "finetune") if frame is not None else None
        if frame is None or artefact is None:
            continue
        found["results"].append(frame.assign(**place))
        contents.finetuned[place["task"], place["name"]] = artefact
        for part in sorted(path.parent.glob("*/results.parquet")):
            run = reader.artefact(part, "finetune")
            if run is not None:
                contents.runs[place["task"], place["name"], part.parent.name] = run
        predictions, grid = path.with_name("predictions.parquet"), path.with_name("grid.parquet")
        if not predictions.exists():
            contents.damaged.append(unusable(workspace.relative(predictions), FileNotFoundError(), workspace.root))
        kind = reader.attempt(predictions, _kind)
        if kind:
            read = _classified if kind == "classified" else partial(_frame, stored.SEGMENTED)
            frame = reader.attempt(predictions, partial(_of_task, place["task"], read))
            found[kind] += [] if frame is None else [frame.assign(**place)]
        frame = reader.attempt(grid, partial(_frame, stored.GRID))
        found["grids"] += [] if frame is None else [frame.assign(**place)]
    for name, frames in found.items():
        if frames:
            setattr(contents, name, pd.concat(frames, ignore_index=True))


def _of_task(task: str, read: Callable[[Path], pd.DataFrame], path: Path) -> pd.DataFrame:
    frame = read(path)
    if others := set(frame["task"]) - {task}:
        raise SwclError(f"it is of the task {min(others)}")
    return frame


def _kind(path: Path) -> str:
    return "classified" if "head" in pq.read_schema(path).names else "segmented"


def _read_runs(workspace: Workspace, reader: _Reader, contents: Contents) -> None:
    """A run is finished when its artefact is there and no resume state lies beside its log."""
    for path in sorted(workspace.root.glob(f"runs/*/{LOG}")):
        log = reader.attempt(path, read_log)
        if log is None:
            continue
        contents.logs[path.parent.name] = log.records
        if log.lost:
            name = workspace.relative(path)
            lines = "a line is" if log.lost == 1 else f"{log.lost:,} lines are"
            contents.damaged.append(f"{name}: {lines} damaged and left out. {remedy(name)}")
    held = contents.results[["task", "name", "run"]].drop_duplicates()
    tuned = {}
    for (task, name), artefact in contents.finetuned.items():
        runs = held.loc[(held["task"] == task) & (held["name"] == name), "run"]
        tuned[task, name] = Tuned(set(runs), _wanted(artefact.settings))
    done = {f"finetune-{task}-{name}-{run}" for task, name, run in held.itertuples(index=False)}
    done |= {f"pretrain-{path.stem}" for path in workspace.root.glob("*.safetensors")}
    done |= {"train-labeler"} if workspace.labeler.exists() else set()

    def settings_of(path: Path) -> Mapping[str, Any]:
        made = reader.attempt(path, lambda path: stored.described(path, list(STEPS)))
        return made["settings"] if made else {}

    contents.unfinished = Progress(workspace, contents.logs, settings_of).found(done, tuned)


def _wanted(settings: Mapping[str, Any]) -> int | None:
    """How many runs a results.parquet is to hold."""
    seeds, folds = settings.get("seeds"), settings.get("folds")
    return seeds * max(folds if isinstance(folds, int) else 0, 1) if isinstance(seeds, int) else None
