"""What the tests of `prep` share: settings, and what a workspace holds afterwards."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from swcl_cli.data import manifest
from swcl_cli.settings import PrepSettings
from swcl_cli.workspace import Workspace
from tests import downloads, folders

NORMAL = "normal fundus"


def settings(workspace: Path, dataset: str, source: Path, **values: Any) -> PrepSettings:
    return PrepSettings(
        **{"workspace": workspace, "dataset": dataset, "source": source, "size": 80, "workers": 0, **values}
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Reads all files but for what `prep` keeps for itself."""
    return folders.contents(folder, without=(".journal.jsonl", ".lock"))


def rows_of(path: Path) -> Any:
    """The manifest as a data frame; `Any`, since the stubs of pandas know no columns of ours."""
    return manifest.read(path)


def quarantine(workspace: Path, dataset: str) -> list[tuple[str, str]]:
    with open(Workspace(workspace).quarantine(dataset), encoding="utf-8", newline="") as handle:
        return [(row["source_path"], row["problem"]) for row in csv.DictReader(handle)]


def odir_source(folder: Path) -> Path:
    """20 patients, both eyes; the right eyes of odd ones have drusen."""
    words = {patient: (NORMAL, "drusen" if patient % 2 else NORMAL) for patient in range(20)}
    return downloads.odir_kaggle(folder, words)
