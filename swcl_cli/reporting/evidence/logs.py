"""Read `log.jsonl`, the log of a training: each line is a record and becomes a row; damaged lines are left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.json as arrow_json

from swcl_cli.workspace import read_lines

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
    lines = read_lines(data)
    records = [record for _, record in lines.records]
    return Log(pd.DataFrame(records), lines.lost) if records else Log(EMPTY, max(lines.lost, 1))
