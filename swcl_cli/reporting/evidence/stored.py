"""The tables of a workspace as the report reads them: the columns it needs, checked to be what their names say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open

from swcl_cli.data.manifest import SPLITS
from swcl_cli.errors import SwclError
from swcl_cli.swap.crops import POSITIONS
from swcl_cli.workspace import METADATA_KEY, read_provenance


def _schema(texts: str, *others: tuple[str, pa.DataType], gaps: str = "") -> pa.Schema:
    """gaps: the columns that may be null in a row."""
    columns = [*((name, pa.string()) for name in texts.split()), *others]
    return pa.schema([pa.field(name, kind, nullable=name in gaps.split()) for name, kind in columns])


MANIFEST = _schema("split patient_id")
LABELER_SCORES = _schema("dataset image_id patient_id", ("truth", pa.bool_()), ("score", pa.float32()))
SWAP = _schema(
    "dataset position path", ("x", pa.int32()), ("y", pa.int32()), ("size", pa.int32()), ("mirrored", pa.bool_()),
    ("score", pa.float32()), ("abnormal", pa.bool_()), ("image_abnormal", pa.bool_()), gaps="image_abnormal",
)  # fmt: skip
RESULTS = _schema(
    "task name run split measure", ("seed", pa.int64()), ("fold", pa.int64()), ("value", pa.float64()),
    ("primary", pa.bool_()), ("low", pa.float64()), ("high", pa.float64()), gaps="fold value low high",
)  # fmt: skip
GRID = _schema(
    "task name run", ("learning_rate", pa.float64()), ("weight_decay", pa.float64()), ("value", pa.float64()),
    gaps="value",
)  # fmt: skip
_PREDICTED = "task name run split image_id patient_id path"
CLASSIFIED = _schema(
    f"{_PREDICTED} head", ("truth", pa.int64()), ("prediction", pa.int64()), ("probabilities", pa.list_(pa.float64()))
)
SEGMENTED = _schema(
    f"{_PREDICTED} structure mask_path map_path", ("shades", pa.list_(pa.int64())), ("f1", pa.float64()),
    gaps="map_path",
)  # fmt: skip
ALLOWED = {"split": SPLITS, "position": POSITIONS}
SHARES = ("score", "f1")  # from 0 to 1


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """The columns of `schema`. Raises SwclError where one is missing or is something else, or there are no rows."""
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
        found = column.cast(field.type)
    except pa.ArrowException:
        raise SwclError(f"its column {field.name} holds {column.type}, not {field.type}") from None
    allowed = ALLOWED.get(field.name)
    if allowed and (foreign := set(found.unique().to_pylist()) - set(allowed)):
        raise SwclError(f"its column {field.name} holds {min(foreign)!r}, which is none of {', '.join(allowed)}")
    if field.name in SHARES and not ((shares := found.to_numpy()) >= 0).all() & (shares <= 1).all():
        raise SwclError(f"its column {field.name} holds other numbers than those from 0 to 1")
    return found


def described(path: Path, steps: Sequence[str], required: Sequence[str] = ()) -> dict[str, Any]:
    """The provenance of an artefact of one of these steps, with these settings.

    Raises SwclError where it is something else's, or its parts are not what ours are.
    """
    found: Any = read_provenance(path)
    if not isinstance(found, dict) or found.get("step") not in steps:
        made = found.get("step") if isinstance(found, dict) else None
        raise SwclError(f"it was made by {made or 'something else'}, not by swcl {' or '.join(steps)}")
    for part in ("settings", "inputs", "versions"):
        if not isinstance(found.setdefault(part, {}), dict):
            raise SwclError(f"its {part} are no table of names and values")
    if lacking := [name for name in required if found["settings"].get(name) is None]:
        raise SwclError(f"it does not say its {', '.join(lacking)}: it is of another version")
    return found


def is_ours(path: Path) -> bool:
    """Whether a safetensors file says what made it; other people's weights may lie in a workspace, too."""
    with safe_open(path, "np") as handle:
        return METADATA_KEY in (handle.metadata() or {})
