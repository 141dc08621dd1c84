"""Read parquet files and provenance, and checks that they hold what the report expects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open

from swcl_cli.errors import SwclError
from swcl_cli.reporting.evidence.columns import ALLOWED, SHARES
from swcl_cli.workspace import METADATA_KEY, read_provenance


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """Read the columns of `schema`. Raises SwclError where one is missing or of another type, or there are no rows."""
    held = pq.read_schema(path).names
    if lacking := [name for name in schema.names if name not in held]:
        raise SwclError(f"it has no column {', '.join(lacking)}: it is of another version, or of something else")
    table = pq.read_table(path, columns=schema.names).select(schema.names)
    if not table.num_rows:
        raise SwclError("it has no rows")
    columns = [_column(table[field.name], field) for field in schema]
    return pa.table(columns, names=schema.names)


def _column(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if not field.nullable and column.null_count:
        raise SwclError(f"its column {field.name} has gaps")
    try:
        values = column.cast(field.type)
    except pa.ArrowException:
        raise SwclError(f"its column {field.name} holds {column.type}, not {field.type}") from None
    allowed = ALLOWED.get(field.name)
    if allowed and (foreign := set(values.unique().to_pylist()) - set(allowed)):
        raise SwclError(f"its column {field.name} holds {min(foreign)!r}, which is none of {', '.join(allowed)}")
    if field.name in SHARES and not ((shares := values.to_numpy()) >= 0).all() & (shares <= 1).all():
        raise SwclError(f"its column {field.name} holds other numbers than those from 0 to 1")
    return values


def described(path: Path, steps: Sequence[str], required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the provenance of an artefact of one of these steps, with these settings.

    Raises SwclError where it is something else's, or its parts are not what ours are.
    """
    work: Any = read_provenance(path)
    if not isinstance(work, dict) or work.get("step") not in steps:
        made = work.get("step") if isinstance(work, dict) else None
        raise SwclError(f"it was made by {made or 'something else'}, not by swcl {' or '.join(steps)}")
    for part in ("settings", "inputs", "versions"):
        if not isinstance(work.setdefault(part, {}), dict):
            raise SwclError(f"its {part} are no table of names and values")
    if lacking := [name for name in required if work["settings"].get(name) is None]:
        raise SwclError(f"it does not say its {', '.join(lacking)}: it is of another version")
    return work


def is_ours(path: Path) -> bool:
    """Tell whether a safetensors file says what made it; other people's weights may lie in a workspace, too."""
    with safe_open(path, "np") as handle:
        return METADATA_KEY in (handle.metadata() or {})
