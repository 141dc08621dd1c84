"""Keep the folder that `predict` writes: whose it is, and tables in it."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from swcl_cli import console, workspace
from swcl_cli.errors import SwclError
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.opening import is_archive, open_source
from swcl_cli.preparation.unprepared import Found, find_photographs
from swcl_cli.settings import PredictSettings
from swcl_cli.workspace import Workspace, atomic

RECORD = "predict.json"  # what the folder holds, and whose it is
ASIDE, REMARKS = "unreadable.csv", "remarks.csv"

Row: TypeAlias = dict[str, Any]


def claim(folder: Path, work: Mapping[str, Any]) -> None:
    """Record in the folder whose predictions it holds. Raises SwclError where it holds anything else."""
    workspace.claim(folder, RECORD, work, "predictions")


def find(settings: PredictSettings) -> tuple[Found, str]:
    """Find the photographs that are given; return also a hash of their names. Raises SwclError where there is none."""
    root = Workspace(settings.workspace)
    images = [open_source(path, root, False) if is_archive(path) else path for path in settings.photographs]
    found = find_photographs(images, besides=settings.folder)
    return found, hashlib.sha256("\n".join(found.files).encode(errors="surrogateescape")).hexdigest()[:16]


def set_aside(name: str, problem: Unusable) -> Row:
    """Return the row of a file that can't be used."""
    return {"image": name, "problem": problem.problem, "detail": problem.detail}


def none_read(count: int, out: Path) -> SwclError:
    """Return the error of a folder of which no file is a photograph."""
    return SwclError(f"None of the {count:,} files could be read as photographs; see {out / ASIDE}.")


def tell_remarks(remarks: Sequence[Row], count: int, out: Path) -> None:
    """Warn where some of `count` photographs were not read as they lie."""
    if remarks:
        console.warn(
            f"{len({row['image'] for row in remarks}):,} of {count:,} photographs were not read as they lie, such "
            f"as {remarks[0]['image']}: {remarks[0]['remark']}. All of them: {out / REMARKS}"
        )


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows to a CSV file; without rows remove an earlier file."""
    listed = list(rows)
    path.unlink(missing_ok=True)
    if listed:
        with (
            atomic(path) as partial,
            open(partial, "w", encoding="utf-8", errors="surrogateescape", newline="") as handle,
        ):
            writer = csv.DictWriter(handle, list(listed[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(listed)
