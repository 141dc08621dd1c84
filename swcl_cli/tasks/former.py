"""Remove for `--fresh` what an earlier run of the same fine-tuning made, and nothing that anything else made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from swcl_cli.errors import SwclError
from swcl_cli.tasks.runs import TaskRun
from swcl_cli.workspace import EVENTS, LOCK, LOG, MODEL, RESUME, RUN, remove_tree, require_own

TABLES = ("results.parquet", "predictions.parquet", "grid.parquet")
STEP = "finetune"
PARTIAL = re.compile(r"\..+\.([0-9a-f]{8}-)?\d+\.partial")  # of a file that a kill left half written


def require_own_runs(runs: Sequence[TaskRun]) -> None:
    """Raise SwclError where a file that these runs are to write exists and was not made by `finetune`."""
    names = [runs[0].folder.parent / table for table in TABLES]
    for run in runs:
        names += [*(run.folder / table for table in TABLES), run.model, run.log_folder / RESUME]
    for path in names:
        require_own(path, STEP)


def remove(runs: Sequence[TaskRun]) -> None:
    """Remove the folder of these runs and their logs. Raises SwclError before, where any file is not `finetune`'s."""
    folders = [runs[0].folder.parent, *(run.log_folder for run in runs)]
    for folder in folders:
        for path in _files(folder):
            place = path.relative_to(folder).parts
            if path.is_symlink() or not (PARTIAL.fullmatch(path.name) or _is_named(folder, place, runs[0])):
                raise SwclError(f"{path} was not made by swcl finetune: --fresh does not remove it. Move it away.")
            if path.suffix in (".parquet", ".safetensors"):
                require_own(path, STEP)
    for folder in folders:
        remove_tree(folder)


def _files(folder: Path) -> Iterator[Path]:
    """List the files and links below a folder; `folder` itself where it is a link or a file."""
    if folder.is_symlink() or folder.is_file():
        yield folder
    elif folder.is_dir():
        yield from (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())


def _is_named(folder: Path, place: tuple[str, ...], run: TaskRun) -> bool:
    """Check whether `finetune` writes a file to this place in the folder. place: the parts of its relative path."""
    if folder != run.folder.parent:  # of logs
        return (len(place) in (1, 2) and place[-1] in (LOCK, LOG, RESUME)) or EVENTS in place[-3:-1]
    if len(place) == 1:
        return place[0] in TABLES
    if not RUN.fullmatch(place[0]):
        return False
    if len(place) == 2:
        return place[1] in (*TABLES, MODEL)
    kind = (*place[1:-1], Path(place[-1]).suffix)
    return kind == ("grid", ".safetensors") or (kind == ("maps", ".png") and _is_map(folder, place))


def _is_map(folder: Path, place: tuple[str, ...]) -> bool:
    """Check whether the predictions of the run name the map; True where they are missing or damaged."""
    try:
        paths = pq.read_table(folder / place[0] / "predictions.parquet", columns=["map_path"])["map_path"]
    except (OSError, KeyError, pa.ArrowException):
        return True
    return place[-1] in {Path(path).name for path in paths.to_pylist() if path}
