"""Read the lines of `log.jsonl`, the log of a training: each is a record of a step, or damaged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Lines:
    """Hold the records with the lines that they stand in, and how many lines were no records."""

    records: list[tuple[str, dict[str, Any]]]
    lost: int = 0


def read_lines(data: bytes) -> Lines:
    """Read numbers by name from each line; a last one that was cut off while being written is no loss."""
    lines = data.decode("utf-8", errors="replace").split("\n")
    records = [(line, record) for line in lines if (record := _record(line))]
    whole = sum(bool(line.strip()) for line in lines[:-1]) + bool(_record(lines[-1]))
    return Lines(records, whole - len(records))


def log_lines(path: Path) -> Lines:
    """Read the lines of a log, which need not be there."""
    return read_lines(path.read_bytes()) if path.is_file() else Lines([])


def _record(line: str) -> dict[str, Any]:
    """Return the numbers by name; empty where the line is no record of a step."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(record, dict) or not isinstance(record.get("step"), int):
        return {}
    return record if all(isinstance(value, int | float) for value in record.values()) else {}
