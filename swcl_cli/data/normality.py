"""Tell normal from abnormal photographs by any label of a prepared data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from swcl_cli.catalogue.labels import ABNORMAL, JOINT, LABELS, PATIENT, SEVERAL, Label
from swcl_cli.data import manifest
from swcl_cli.data.photographs import manifest_of
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.settings import prep_command
from swcl_cli.settings.labelled_sets import parted
from swcl_cli.settings.resolve import nearest
from swcl_cli.workspace import Workspace


class Told(NamedTuple):
    """Hold rows of a data set with a column `abnormal`, which its label tells."""

    table: pd.DataFrame
    label: Label

    def cautions(self, dataset: str) -> list[str]:
        """Say how many photographs lack the label, and whose it is, a sentence each."""
        absent = int(self.table[ABNORMAL].isna().sum())
        sentences = (
            [f"{dataset}: {absent:,} of {len(self.table):,} photographs have no {self.label.name}."] if absent else []
        )
        if self.label.of == PATIENT:
            sentences.append(
                f"{dataset}: {self.label.name} is of patients: a normal eye of an abnormal patient counts as abnormal."
            )
        return sentences


def read_normality(
    workspace: Workspace,
    labelled: Sequence[str],
    normal: Sequence[str],
    columns: Sequence[str],
    required: bool = True,
) -> dict[str, Told]:
    """Read these columns of each data set, and `abnormal`: null where its label is not known, else whether it is none
    of the normal classes; of several signs at once, whether there is any other sign.

    labelled: NAME, of which `abnormal` is the label, or NAME:LABEL; normal: names of classes, whatever their case.
    required: a set without any `abnormal` is an error, too.
    Raises SwclError where a set is not prepared or lacks the label, UsageError where `normal` fits no label.
    """
    sets = {dataset: (manifest_of(workspace, dataset), name) for dataset, name in map(parted, labelled)}
    labels = {dataset: _label(path, dataset, name, required) for dataset, (path, name) in sets.items()}
    chosen = [label for label in labels.values() if label.name != ABNORMAL]
    classes = list(dict.fromkeys(name for label in chosen for name in classes_of(label)))
    for name in normal if chosen else ():
        if name.casefold() not in {known.casefold() for known in classes}:
            told = ", ".join(dict.fromkeys(label.name for label in chosen))
            raise UsageError(f"--normal '{name}' is no class of {told}: {nearest(name, classes)}")
    tables = {}
    for dataset, (path, _) in sets.items():
        label = labels[dataset]
        table = manifest.read(path, columns=[*columns, label.name])
        healthy = _normal_classes(label, normal, dataset)
        abnormal = _abnormal(label, table[label.name], healthy)
        tables[dataset] = Told(table[[*columns]].assign(**{ABNORMAL: abnormal}), label)
    return tables


def classes_of(label: Label) -> tuple[str, ...]:
    """Return the names of a label's classes: of public grades their numbers; none where it is not of classes."""
    return label.names or tuple(map(str, range(label.low, label.high + 1) if label.classes else ()))


def _label(path: Path, dataset: str, name: str, required: bool) -> Label:
    """Return the label of this name, whatever its case. Raises SwclError where no photograph has it, or no classes."""
    labels = {label.name: label for label in manifest.read_labels(path) if classes_of(label)}
    match = next((label for label in labels if label.casefold() == name.casefold()), None)
    if match and manifest.read(path, columns=[match])[match].notna().any():
        return labels[match]
    if name == ABNORMAL and not required:
        return LABELS[ABNORMAL]
    known = manifest.read(path, columns=list(labels)).notna().any() if labels else {}
    held = [label for label in labels if known[label]]
    if name == ABNORMAL:
        others = f", or a label that it has: --labelled {dataset}:{held[0]} --normal CLASS" if held else ""
        raise SwclError(f"{dataset} has no normal/abnormal labels; name a data set that has: --labelled odir{others}")
    if not held:
        raise SwclError(f"{dataset} has no label with classes. Labels come from {prep_command(dataset)} --labels.")
    raise SwclError(f"{dataset} has no label '{name}': {nearest(name, held)}")


def _normal_classes(label: Label, normal: Sequence[str], dataset: str) -> set[str]:
    """Return the classes of a label that are normal. Raises UsageError where nobody says which."""
    if label.name == ABNORMAL:
        return {"0"}
    wanted = {name.casefold() for name in normal}
    healthy = {name for name in classes_of(label) if name.casefold() in wanted}
    if not healthy and label.kind != SEVERAL:
        told = f"none of {', '.join(normal)} is a class of" if normal else "it says which classes are normal, of"
        raise UsageError(f"--normal: {told} {dataset}'s {label.name}: {', '.join(classes_of(label))}.")
    return healthy


def _abnormal(label: Label, values: pd.Series, healthy: set[str]) -> pd.Series:
    """Return whether each photograph (N,) is abnormal; null where its label is not known."""
    texts = values.astype("Int64").astype(str) if label.kind in ("binary", "grade") else values
    known = values.notna().to_numpy(dtype=bool)
    if label.kind == SEVERAL:
        of_text: Mapping[Any, bool] = {text: bool(set(str(text).split(JOINT)) - {""} - healthy) for text in set(texts)}
    else:
        of_text = {text: text not in healthy for text in set(texts)}
    flags = np.array([of_text[text] for text in texts], dtype=bool)
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(flags, pa.bool_(), mask=~known)), index=values.index)
