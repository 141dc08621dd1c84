"""Collect the ids and file names of patients and photographs that the tables of a workspace hold."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, require_file

PHOTOGRAPH, PATIENT, OTHER = "photograph {}", "patient {}", "file {}"
IDS = {"image_id": PHOTOGRAPH, "patient_id": PATIENT, "group_id": PATIENT}
PATHS = {
    "path": PHOTOGRAPH,
    "source_path": PHOTOGRAPH,
    "mask_path": "mask of photograph {}",
    "fov_path": "field of view of photograph {}",
    "lesion_mask_path": "lesion mask of photograph {}",
    "map_path": "map of photograph {}",
}
PROBLEM = re.compile(r"[a-z, ]*")  # as this program words them


class Identity(NamedTuple):
    """Hold a name, the pattern of what may stand for it, and whom or what it is about."""

    name: str
    pattern: str
    about: str


def identities(workspace: Workspace) -> Iterator[Identity]:
    """Yield ids, and file names with and without their ending."""
    for path in workspace.tables_of_photographs():
        columns = _columns(path)
        for key, values in columns.items():
            for value, image in zip(values, columns.get("image_id", values), strict=True):
                if value and key in IDS:
                    yield Identity(value, IDS[key], value)
                elif value:
                    yield from _of_file(value, PATHS[key], image or "")
    for name in workspace.prepared():
        for source, problem in _quarantined(workspace.quarantine(name)):
            yield from _of_file(source, PHOTOGRAPH, "")
            if not PROBLEM.fullmatch(problem):
                yield Identity(problem, OTHER, problem)


def _of_file(path: str, pattern: str, about: str) -> Iterable[Identity]:
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    return (Identity(each, pattern, about or stem) for each in (name, stem) if each)


def _columns(path: Path) -> dict[str, list[str | None]]:
    """Read each combination of names once; nothing of a damaged table, of which the report shows nothing either."""
    try:
        require_file(path)
        names = [name for name in pq.read_schema(path).names if name in (*IDS, *PATHS)]
        rows = pq.read_table(path, columns=names).to_pandas().astype(object).drop_duplicates()
        return {name: [value if isinstance(value, str) else None for value in rows[name]] for name in names}
    except Exception:
        return {}


def _quarantined(path: Path) -> list[tuple[str, str]]:
    """Read where each file came from, and its problem, which in a list that was written by hand may be anything."""
    try:
        require_file(path)
        with path.open(encoding="utf-8", newline="", errors="replace") as handle:
            return [(row[0], row[1]) for row in csv.reader(handle) if len(row) > 1][1:]
    except (OSError, csv.Error, SwclError):
        return []
