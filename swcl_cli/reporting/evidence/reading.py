"""Read a workspace for the report. A file that can't be read is named; the rest is still used."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file

from swcl_cli.catalogue.labels import read_label
from swcl_cli.data import columns as data_columns
from swcl_cli.errors import SwclError
from swcl_cli.reporting.evidence import columns
from swcl_cli.reporting.evidence.contents import Artefact, Contents, DataSet, Elsewhere, Embedded, Judged
from swcl_cli.reporting.evidence.finetuned import read_finetuned
from swcl_cli.reporting.evidence.logs import read_log
from swcl_cli.reporting.evidence.reader import Reader, read_artefact, read_frame
from swcl_cli.reporting.evidence.stored import described, is_ours
from swcl_cli.reporting.evidence.unfinished import Progress, Tuned
from swcl_cli.settings import STEPS, AuditSettings, PredictSettings
from swcl_cli.settings.rows import PHANTOM
from swcl_cli.workspace import (
    FINETUNE,
    LABELER,
    MODEL,
    PRETRAIN,
    RunFolder,
    RunName,
    Workspace,
    differences,
    fingerprint,
    part_of,
    remedy,
)

AUDIT, PREDICT = AuditSettings.step, PredictSettings.step
MEASURED = ("auc", "auc_low", "auc_high", "best_auc", "best_epoch")  # what a labeler remembers of its validation


def read_contents(workspace: Workspace) -> Contents:
    """Read everything that the report speaks of. Raises SwclError where the workspace holds nothing of it."""
    contents = Contents(workspace.root, phantom=workspace.phantom.is_dir())
    reader = Reader(workspace, contents)
    _read_data(workspace, reader, contents)
    contents.phantom |= any(dataset.artefact.provenance.get(PHANTOM) for dataset in contents.datasets.values())
    _read_audit(workspace, reader, contents)
    _read_weak_labels(workspace, reader, contents)
    for path in workspace.encoder_files():
        if reader.read(path, is_ours) and (encoder := reader.read(path, partial(_encoder, workspace))):
            contents.encoders[path.stem] = encoder
    for path in workspace.embeddings():
        if embedded := reader.read(path, _embedded):
            contents.embedded[path.parent.name] = embedded
    read_finetuned(workspace, reader, contents)
    for path in workspace.tests_elsewhere():
        if tested := reader.read(path, partial(_elsewhere, workspace)):
            contents.elsewhere.append(tested)
    held = contents.results[["task", "name", "run"]].drop_duplicates().itertuples(index=False, name=None)
    finetuned = {RunName(FINETUNE, *run) for run in held}
    folders, strays = workspace.run_folders(finetuned)
    _read_logs(workspace, reader, contents, folders)
    contents.unfinished = _progress(workspace, reader, contents, finetuned).unfinished(folders, strays)
    if contents.empty:
        start = "Start with `swcl prep phantom` or `swcl prep odir SOURCE`, then `swcl train-labeler`."
        raise SwclError("\n".join([f"{workspace.root} holds nothing to report yet.", *(contents.damaged or [start])]))
    return contents


def _read_data(workspace: Workspace, reader: Reader, contents: Contents) -> None:
    for name in workspace.prepared():
        images = reader.read(workspace.manifest(name), partial(read_frame, columns.MANIFEST))
        artefact = None if images is None else reader.artefact(workspace.manifest(name), "prep")
        if images is not None and artefact:
            problems = reader.read(workspace.quarantine(name), _problems)
            contents.datasets[name] = DataSet(name, artefact, images, problems or Counter())
            if (measured := reader.read(workspace.quality(name), partial(read_frame, columns.QUALITY))) is not None:
                contents.quality[name] = measured


def _read_audit(workspace: Workspace, reader: Reader, contents: Contents) -> None:
    """Read the pairs of photographs that are in the manifests still: --no-images has names for these alone; and how
    photographs lie, of data sets as they are prepared now.
    """
    for name, dataset in contents.datasets.items():
        path = workspace.orientation(name)
        lying = reader.read(path, partial(read_frame, columns.ORIENTATION))
        artefact = None if lying is None else reader.artefact(path, AUDIT)
        if lying is not None and artefact and artefact.inputs.get(name) == dataset.artefact.fingerprint:
            contents.lying[name] = lying
    pairs = reader.read(workspace.audit, partial(read_frame, columns.AUDIT))
    contents.audit = None if pairs is None else reader.artefact(workspace.audit, AUDIT)
    if pairs is not None and contents.audit:
        here = {(name, id) for name, dataset in contents.datasets.items() for id in dataset.images["image_id"]}
        places = zip(pairs["dataset"], pairs["image_id"], strict=True)
        others = zip(pairs["other_dataset"], pairs["other_image_id"], strict=True)
        kept = [one in here and other in here for one, other in zip(places, others, strict=True)]
        contents.pairs = pairs[np.array(kept, dtype=bool)].reset_index(drop=True)


def _problems(path: Path) -> Counter[str]:
    with path.open(encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle)
        if "problem" not in (rows.fieldnames or ()):
            raise SwclError("it has no column problem")
        return Counter(row["problem"] or "no problem named" for row in rows)


def _read_weak_labels(workspace: Workspace, reader: Reader, contents: Contents) -> None:
    """Read the labeler and the patches that it scored."""
    contents.labeler = reader.read(workspace.labeler, partial(_labeler, workspace))
    contents.labeler_scores = reader.read(workspace.labeler_scores, partial(_labeler_scores, contents.labeler))
    patches = reader.read(workspace.swap, partial(read_frame, columns.SWAP))
    contents.swap = None if patches is None else reader.artefact(workspace.swap, "make-swap", ["threshold"])
    contents.patches = patches if contents.swap else None
    for name in workspace.judged_on():
        rows = reader.read(workspace.judged(name), partial(read_frame, columns.JUDGED))
        artefact = None if rows is None else reader.artefact(workspace.judged(name), "make-swap", ["threshold"])
        if rows is not None and artefact:
            contents.judged[name] = Judged(artefact, rows)
    contents.cams = reader.read(workspace.maps, _maps) or {}


def _labeler(workspace: Workspace, path: Path) -> Artefact:
    labeler = read_artefact(workspace, path, LABELER)
    measured = labeler.provenance.get("validation", {})
    if measured and (lacking := [name for name in MEASURED if not isinstance(measured.get(name), int | float)]):
        raise SwclError(f"it does not say its {', '.join(lacking)}: it is of another version")
    return labeler


def _labeler_scores(labeler: Artefact | None, path: Path) -> pd.DataFrame:
    frame = read_frame(columns.LABELER_SCORES, path)
    if labeler is None or differences(described(path, [LABELER]), labeler.provenance):
        raise SwclError("it is not of the labeler that is here")
    return frame


def _maps(path: Path) -> dict[str, NDArray[np.uint8]]:
    maps = dict(sorted(load_file(path).items()))
    if any(values.ndim != 2 or values.dtype != np.uint8 for values in maps.values()):
        raise SwclError("it holds something else than maps")
    return maps


def _encoder(workspace: Workspace, path: Path) -> Artefact | None:
    """Return None where it is a copy of a labeler or of a fine-tuned model."""
    made = described(path, [PRETRAIN, FINETUNE, LABELER])
    return read_artefact(workspace, path, PRETRAIN) if made["step"] == PRETRAIN else None


def _embedded(path: Path) -> Embedded:
    made = described(path, [PREDICT])
    labels = [read_label(entry) for entry in part_of(path, made, ("labels",), list[dict[str, Any]])]
    held = data_columns.embedded(labels, "umap_1" in pq.read_schema(path).names)
    return Embedded(read_frame(held, path), labels, part_of(path, made, ("variance",), list[float]))


def _elsewhere(workspace: Workspace, path: Path) -> Elsewhere:
    artefact = read_artefact(workspace, path, PREDICT)
    made, about = artefact.provenance, ("tested",)
    told: dict[str, Any] = {
        "dataset": part_of(path, made, (*about, "dataset"), str),
        **{name: part_of(path, made, (*about, name), list[str]) for name in ("trained_on", "left_out")},
        **{name: part_of(path, made, (*about, name), int) for name in ("models", "photographs", "patients")},
    }
    rows = read_frame(columns.RESULTS, path)
    models = {used for name, used in artefact.inputs.items() if name != told["dataset"]}
    return Elsewhere(artefact, rows, **told, replaced=_replaced(workspace, rows, models))


def _replaced(workspace: Workspace, rows: pd.DataFrame, models: Set[str]) -> str:
    """Name the folder of the models' training, where it holds models, but not all that were scored; else ''."""
    if rows.empty:
        return ""
    folder = workspace.finetune(str(rows["task"].iloc[0]), str(rows["name"].iloc[0]))
    here = {fingerprint(path) for path in folder.glob(f"*/{MODEL}")}
    return workspace.relative(folder) if here and not models <= here else ""


def _read_logs(workspace: Workspace, reader: Reader, contents: Contents, folders: Sequence[RunFolder]) -> None:
    for run in folders:
        log = reader.read(run.log, read_log)
        if log is None:
            continue
        contents.logs[run.named] = log.records
        if log.lost:
            name = workspace.relative(run.log)
            lines = "a line is" if log.lost == 1 else f"{log.lost:,} lines are"
            contents.damaged.append(f"{name}: {lines} damaged and left out. {remedy(name)}")


def _progress(workspace: Workspace, reader: Reader, contents: Contents, finetuned: Set[RunName]) -> Progress:
    """Prepare to tell what is unfinished: a run is done when its artefact is there and no resume state beside its log.

    finetuned: the runs that results.parquet of their task and name holds.
    """
    tuned = {}
    for (task, name), artefact in contents.finetuned.items():
        runs = {run.run for run in finetuned if (run.task, run.name) == (task, name)}
        tuned[task, name] = Tuned(runs, _wanted(artefact.settings))
    done = {*finetuned}
    done |= {RunName(PRETRAIN, name=path.stem) for path in workspace.encoder_files()}
    done |= {RunName(LABELER)} if workspace.labeler.exists() else set()

    def settings_of(path: Path) -> Mapping[str, Any]:
        made = reader.read(path, lambda path: described(path, list(STEPS)))
        return made["settings"] if made else {}

    return Progress(workspace, contents.logs, settings_of, done, tuned)


def _wanted(settings: Mapping[str, Any]) -> int | None:
    """Return how many runs a results.parquet is to hold."""
    seeds, folds = settings.get("seeds"), settings.get("folds")
    return seeds * max(folds if isinstance(folds, int) else 0, 1) if isinstance(seeds, int) else None
