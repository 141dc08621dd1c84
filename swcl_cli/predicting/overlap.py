"""Leave out the photographs that a model may have been trained on, before it is scored on another data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.audit.learnt import copies_between
from swcl_cli.catalogue.tasks import OWN, TASKS
from swcl_cli.data import manifest
from swcl_cli.datasets import DATASETS
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, fingerprint, read_provenance

COMPARED = ["image_id", "patient_id", "source_hash", "checksum", "width", "height"]
Patients = Literal["shared", "apart"]


def trained_on(provenance: Mapping[str, Any]) -> str:
    """Return the name of the data set that a model was trained on."""
    settings = provenance["settings"]
    return str(settings.get("data", OWN) if settings["task"] == OWN else TASKS[settings["task"]].dataset)


def without_trained(
    table: pd.DataFrame,
    dataset: str,
    models: Mapping[Path, Mapping[str, Any]],
    workspace: Workspace,
    patients: Patients,
) -> tuple[pd.DataFrame, list[str]]:
    """Leave out the photographs, and all others of their patients, that a data set shares with one that trained.

    models: provenance by file. patients: whether equal ids in two sets of people's own are one person. Returns the
    others, and sentences on what was left out. Raises SwclError where the set itself trained, or nothing is left.
    """
    sentences, leaving = [], np.zeros(len(table), dtype=bool)
    for path, provenance in models.items():
        if trained_on(provenance) == dataset:
            raise SwclError(
                f"{path} was trained on photographs of {dataset}, and its scores on those that it did not see are in "
                f"{path.parent / 'results.parquet'}. Name another prepared set, or prepare other photographs under "
                "another --name."
            )
    for name in sorted({trained_on(provenance) for provenance in models.values()}):
        wanted = {made["inputs"].get(name) for made in models.values() if trained_on(made) == name}
        place = workspace.manifest(name)
        if not place.exists() or wanted != {fingerprint(place)}:
            sentences.append(
                f"{name}, which trained, is not in this workspace as it was then: whether {dataset} shares photographs "
                "or patients with it is not known."
            )
        if not place.exists():
            continue
        copies, unknown = copies_between(workspace, dataset, name)
        sentences += [unknown] if unknown else []
        shared, reasons = _shared(table, dataset, manifest.read(place, COMPARED), name, patients, copies)
        leaving |= shared
        sentences += reasons
    kept = table[~leaving].reset_index(drop=True)
    if not len(kept):
        raise SwclError(f"{dataset} has no photograph left to score. {' '.join(sentences)}")
    return kept, sentences


def pretrained_on(dataset: str, models: Mapping[Path, Mapping[str, Any]], workspace: Workspace) -> list[str]:
    """Say in a sentence that the models' encoder saw photographs of a data set before; none where it is not known."""
    marks = {str(made["inputs"].get("init")) for made in models.values()}
    seen: set[str] = set()
    for path in workspace.encoder_files():
        if fingerprint(path) in marks:
            inputs = read_provenance(path).get("inputs", {})
            seen |= set(inputs)
            if "swap" in inputs and workspace.swap.exists():
                seen |= set(read_provenance(workspace.swap).get("inputs", {}))
    if dataset not in seen:
        return []
    return [
        f"The encoder was pretrained on photographs of {dataset}, of all its splits: scores on it are not those of "
        "photographs that it never saw."
    ]


def _shared(
    table: pd.DataFrame, dataset: str, training: pd.DataFrame, name: str, patients: Patients, copies: set[str]
) -> tuple[NDArray[np.bool_], list[str]]:
    """Find the photographs (N,) of patients who are in the training data set, too, and say why.

    copies: paths of those that `audit` has found to be copies of training ones.
    """
    equal = table["source_hash"].isin(training["source_hash"])
    prepared = ["checksum", "width", "height"]
    equal |= pd.MultiIndex.from_frame(table[prepared]).isin(pd.MultiIndex.from_frame(training[prepared]))
    equal |= table["image_id"].isin(_known(dataset, name)) | table["path"].isin(copies)
    groups = table["group_id"].isin(table.loc[equal, "group_id"]).to_numpy(dtype=bool)
    sentences = []
    if groups.any():
        sentences.append(
            f"{groups.sum():,} of {len(table):,} photographs of {dataset} are left out: these, or others of their "
            f"patients, are among those of {name}, which trained."
        )
    of_own = all(each == OWN or each not in DATASETS for each in (dataset, name))
    same = table["patient_id"].isin(training["patient_id"]).to_numpy(dtype=bool) & ~groups
    if of_own and same.any() and patients == "shared":
        groups = groups | table["group_id"].isin(table.loc[same, "group_id"]).to_numpy(dtype=bool)
        sentences.append(
            f"{same.sum():,} of {len(table):,} photographs of {dataset} are left out: the ids of their patients are in "
            f"{name}, too, which trained. If they are other people: --patients apart."
        )
    return groups, sentences


def _known(dataset: str, name: str) -> list[str]:
    """Return ids of photographs of `dataset` that are known to be in the public set `name`, under another form."""
    ids: set[str] = set()
    if dataset in DATASETS:
        for pairs in DATASETS[dataset].shared.get(name, {}).values():
            ids |= set(pairs)
    if name in DATASETS:
        for pairs in DATASETS[name].shared.get(dataset, {}).values():
            ids |= set(pairs.values())
    return sorted(ids)
