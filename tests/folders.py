"""What a run leaves in its folders: all bytes, and the lines of its log."""

from __future__ import annotations

import json
from collections.abc import Container
from pathlib import Path
from typing import Any


def contents(folder: Path, without: Container[str] = ()) -> dict[str, bytes]:
    """Reads all files of a folder, by their path in it, but for those of a name in `without`."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in without)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def read_log(run: Path) -> list[dict[str, Any]]:
    """Reads the lines of a run's log.jsonl, but for their times, which never go back."""
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    times = [record.pop("time") for record in records]
    assert times == sorted(times)
    return records
