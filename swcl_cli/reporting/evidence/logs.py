"""Read `log.jsonl`, the log of a training: each line is a record and becomes a row; damaged lines are left out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.json as arrow_json

EMPTY = pd.DataFrame({"step": pd.Series(dtype="int64")})


@dataclass(frozen=True)
class Log:
    """Hold the records by step, and how many lines were no records."""

    records: pd.DataFrame
    lost: int = 0


def read_log(path: Path) -> Log:
    """Read numbers by name, NaN where a line has none; each row has its `step`.

    A last line that was cut off while being written is no loss.
    """
    data = path.read_bytes()
    if not data.strip():
        return Log(EMPTY)
    try:
        table = arrow_json.read_json(pa.BufferReader(data), arrow_json.ReadOptions(use_threads=False))
    except pa.ArrowException:
        return _line_by_line(data)
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in table.schema.types)
    if not numbers or "step" not in table.schema.names or table["step"].null_count:
        return _line_by_line(data)
    return Log(table.to_pandas())


def _line_by_line(data: bytes) -> Log:
    lines = data.decode("utf-8", errors="replace").split("\n")
    parsed = [_record(line) for line in lines]
    records = [record for record in parsed if record]
    whole = [bool(line.strip()) for line in lines]
    whole[-1] = False  # nothing, or cut off
    lost = sum(whole) - len(records) + bool(parsed[-1])
    return Log(pd.DataFrame(records), lost) if records else Log(EMPTY, max(lost, 1))


def _record(line: str) -> dict[str, Any]:
    """Return the numbers by name; empty where the line is no record."""
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(record, dict) or not isinstance(record.get("step"), int):
        return {}
    return record if all(isinstance(value, int | float) for value in record.values()) else {}
