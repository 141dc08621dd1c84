"""What a workspace holds, read for the report. A file that can't be read is named; the rest is still used."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file

from swcl_cli.data import manifest
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, differences, fingerprint, read_provenance

T = TypeVar("T")
MANIFEST_COLUMNS = ("split", "patient_id")
LABELER_COLUMNS = ("dataset", "image_id", "patient_id", "truth", "score")
SWAP_COLUMNS = ("dataset", "position", "path", "x", "y", "size", "mirrored", "score", "abnormal", "image_abnormal")
RESULT_COLUMNS = ("task", "name", "run", "split", "measure", "value", "primary", "low", "high")
PREDICTION_KEYS = ("task", "name", "run", "split", "image_id", "patient_id", "path")
CLASS_COLUMNS = (*PREDICTION_KEYS, "head", "truth", "prediction")
PIXEL_COLUMNS = (*PREDICTION_KEYS, "structure", "mask_path", "shades", "map_path", "f1")


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


@dataclass(frozen=True)
class Unfinished:
    """A run that has not reached its end: its folder under runs/, and the steps that its log counts."""

    name: str
    steps: int


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
    results: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RESULT_COLUMNS)))
    classified: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(CLASS_COLUMNS)))
    segmented: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PIXEL_COLUMNS)))
    logs: dict[str, pd.DataFrame] = field(default_factory=dict)
    unfinished: list[Unfinished] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.artefacts() or self.logs or self.damaged)

    def tried(self, read: Callable[[], T], words: str = "") -> T | None:
        """What `read` returns, or None and a line in `damaged`: damage to one file never hides the rest."""
        try:
            return read()
        except Exception as error:  # damage makes the readers of parquet, safetensors, json and images raise anything
            reason = str(error).replace(f"{self.root}/", "").splitlines() or [type(error).__name__]
            self.damaged.append(f"{words}{reason[0]}")
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
        dataset = reader.attempt(workspace.manifest(name), partial(_data_set, workspace, name))
        if dataset:
            contents.datasets[name] = dataset
    contents.labeler = reader.artefact(workspace.labeler)
    contents.labeler_scores = reader.attempt(workspace.labeler_scores, partial(_labeler_scores, contents.labeler))
    contents.swap = reader.artefact(workspace.swap)
    contents.patches = reader.attempt(workspace.swap, _columns(SWAP_COLUMNS)) if contents.swap else None
    cams = workspace.run("make-swap") / "cams.safetensors"
    contents.cams = reader.attempt(cams, lambda path: dict(sorted(load_file(path).items()))) or {}
    for path in sorted(workspace.root.glob("*.safetensors")):
        encoder = reader.artefact(path) if path != workspace.labeler else None
        if encoder and encoder.provenance.get("step") == "pretrain":
            contents.encoders[path.stem] = encoder
    _read_finetuned(workspace, reader, contents)
    _read_runs(workspace, reader, contents)
    if contents.empty:
        raise SwclError(
            f"{workspace.root} holds nothing to report yet.\n"
            "Start with `swcl prep phantom` or `swcl prep odir SOURCE`, then `swcl train-labeler`. Or: make demo"
        )
    return contents


class _Reader:
    """Reads what is there; what can't be read is noted in the contents."""

    def __init__(self, workspace: Workspace, contents: Contents) -> None:
        self.workspace, self.contents = workspace, contents

    def attempt(self, path: Path, read: Callable[[Path], T]) -> T | None:
        """None where the file is missing or damaged."""
        name = self.workspace.relative(path)
        return self.contents.tried(lambda: read(path), f"{name} can't be used: ") if path.exists() else None

    def artefact(self, path: Path) -> Artefact | None:
        return self.attempt(path, lambda path: _artefact(self.workspace, path))


def _artefact(workspace: Workspace, path: Path) -> Artefact:
    return Artefact(workspace.relative(path), read_provenance(path), fingerprint(path))


def _columns(names: tuple[str, ...]) -> Callable[[Path], pd.DataFrame]:
    return lambda path: pq.read_table(path, columns=list(names)).to_pandas()


def _labeler_scores(labeler: Artefact | None, path: Path) -> pd.DataFrame:
    if labeler is None or differences(read_provenance(path), labeler.provenance):
        raise SwclError("it is not of the labeler that is here")
    return _columns(LABELER_COLUMNS)(path)


def _data_set(workspace: Workspace, name: str, path: Path) -> DataSet:
    quarantine = workspace.quarantine(name)
    problems: Counter[str] = Counter()
    if quarantine.exists():
        with quarantine.open(encoding="utf-8", newline="") as handle:
            problems.update(row["problem"] for row in csv.DictReader(handle))
    return DataSet(name, _artefact(workspace, path), manifest.read(path, MANIFEST_COLUMNS), problems)


def _read_finetuned(workspace: Workspace, reader: _Reader, contents: Contents) -> None:
    results, classified, segmented = [contents.results], [contents.classified], [contents.segmented]
    for path in sorted(workspace.root.glob("finetune/*/*/results.parquet")):
        frame = reader.attempt(path, _columns(RESULT_COLUMNS))
        artefact = reader.artefact(path) if frame is not None else None
        if frame is None or artefact is None:
            continue
        results.append(frame)
        contents.finetuned[path.parent.parent.name, path.parent.name] = artefact
        predictions = path.with_name("predictions.parquet")
        is_class = reader.attempt(predictions, lambda path: "head" in pq.read_schema(path).names)
        if is_class is not None:
            frame = reader.attempt(predictions, _columns(CLASS_COLUMNS if is_class else PIXEL_COLUMNS))
            (classified if is_class else segmented).extend([] if frame is None else [frame])
    contents.results, contents.classified, contents.segmented = (
        pd.concat(frames[1:], ignore_index=True) if frames[1:] else frames[0]
        for frames in (results, classified, segmented)
    )


def _read_runs(workspace: Workspace, reader: _Reader, contents: Contents) -> None:
    """A run is finished when its artefact is there and no resume state lies beside its log."""
    done = {
        f"finetune-{row.task}-{row.name_}-{row.run}"
        for row in contents.results.rename(columns={"name": "name_"}).itertuples()
    }
    done |= {f"pretrain-{name}" for name in contents.encoders} | ({"train-labeler"} if contents.labeler else set())
    for path in sorted(workspace.root.glob("runs/*/log.jsonl")):
        name = path.parent.name
        log = reader.attempt(path, _read_log)
        if log is None:
            continue
        contents.logs[name] = log
        if name not in done or (path.parent / "resume.safetensors").exists():
            steps = int(log["step"].max()) + 1 if "step" in log and len(log) else 0
            contents.unfinished.append(Unfinished(name, steps))


def _read_log(path: Path) -> pd.DataFrame:
    """One row a record. A last line that was cut off while being written is left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = lines if not lines or lines[-1].endswith("}") else lines[:-1]
    return pd.DataFrame([json.loads(line) for line in kept])
