"""Read the parquet files that swcl writes, and check that each holds what its columns say (data/columns.py)."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.data.columns import ABSENT_MEANS, CLASSIFIED, NUMBERED, NUMBERS, SEGMENTED, Columns
from swcl_cli.data.limits import LIMITS, Limits
from swcl_cli.errors import SwclError
from swcl_cli.workspace import ROWS, Damaged, read_provenance, remedy, require_file

FILLED = {*CLASSIFIED.required, *SEGMENTED.required}  # columns of predictions that have no gaps
MAY_BE_EMPTY = ("audit",)  # steps whose table may hold nothing: no photograph is a copy
SCORES = {"value", "low", "high"}  # of the measure that the row names
IDENTIFYING = {*CLASSIFIED.key, *SEGMENTED.key}


def read_columns(path: Path, columns: Columns, later: Container[str] = ()) -> pa.Table:
    """Read these columns, in their order and types. later: those that older files lack, null in each row then.

    Raises SwclError, with the command that makes the file again, where it is damaged: a column is missing, of another
    type, or has a gap or a value that it can't have; a row stands there twice; or there are more or fewer rows than
    were written.
    """
    parts = dict(each_column(path, columns, later))
    table = pa.table([parts[name] for name in columns.names], names=columns.names)
    if columns.key:
        require_no_repeats(path, table.select(list(columns.key)))
    if "measure" in columns.names:
        _require_possible_scores(path, table)
    return table


def _require_possible_scores(path: Path, table: pa.Table) -> None:
    """Raise SwclError where a measure has a value, or an end of its interval, that it can't have."""
    for measure in table["measure"].unique().to_pylist():
        rows, quality = table.filter(pc.equal(table["measure"], measure)), quality_of(measure)
        for name in SCORES.intersection(table.column_names):
            ends = pc.min_max(pc.drop_null(rows[name])).as_py().values()
            numbers = [value for value in ends if value is not None and value == value]
            if any(not quality.least <= value <= quality.most for value in numbers):
                bounds = f"from {quality.least:g} to {quality.most:g}"
                raise Damaged(path, f"its column {name} holds other numbers of {measure} than those {bounds}")


def read_whole(path: Path, least: Columns) -> pa.Table:
    """Read all columns, `least` and those of a known kind of task among them; otherwise as `read_columns`."""
    require_file(path)
    try:
        held = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise SwclError(f"{path} can't be read: {error}. {remedy(path.as_posix())}".rstrip()) from error
    kinds = [  # others may share a name with one of these
        kind for kind in (CLASSIFIED, SEGMENTED) if len(({*kind.names} - {*least.names}) & {*held.names}) > 1
    ]
    wanted = [*least.names, *(name for kind in kinds for name in kind.names)]
    if lacking := [name for name in dict.fromkeys(wanted) if name not in held.names]:
        raise Damaged(path, f"it has no column {', '.join(lacking)}")
    types = {field.name: field.type for described in (*kinds, least) for field in described.schema}
    schema = pa.schema([(field.name, types.get(field.name, field.type)) for field in held])
    key = tuple(name for name in schema.names if name in IDENTIFYING)
    filled = FILLED - NUMBERED.gaps if set(NUMBERS.names) <= set(schema.names) else FILLED
    return read_columns(path, Columns(schema, frozenset(set(schema.names) - filled), key))


def each_column(path: Path, columns: Columns, later: Container[str] = ()) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """Yield the columns one after another, which needs a third of the memory of all together; as `read_columns`, but
    rows that stand there twice are not looked for. Of those of ABSENT_MEANS older files say nothing.
    """
    require_file(path)
    try:
        schema, rows = pq.read_schema(path), pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError) as error:
        raise SwclError(f"{path} can't be read: {error}. {remedy(path.as_posix())}".rstrip()) from error
    older = {*schema.names, *ABSENT_MEANS}
    if lacking := [name for name in columns.names if name not in older and name not in later]:
        raise Damaged(path, f"it has no column {', '.join(lacking)}")
    _require_rows(path, rows)
    for field in columns.schema:
        if field.name not in schema.names:
            yield field.name, pa.chunked_array([pa.repeat(pa.scalar(ABSENT_MEANS.get(field.name), field.type), rows)])
            continue
        try:
            column = pq.read_table(path, columns=[field.name])[field.name]
        except (pa.ArrowException, OSError) as error:
            raise SwclError(f"{path} can't be read: {error}. {remedy(path.as_posix())}".rstrip()) from error
        limits = None if field.name in columns.own else LIMITS.get(field.name)
        yield field.name, checked(path, column, field, field.name in columns.gaps, limits)


def _require_rows(path: Path, rows: int) -> None:
    written = rows_written(path)
    if not rows and not (written == 0 and read_provenance(path).get("step") in MAY_BE_EMPTY):
        raise Damaged(path, "it has no rows")
    if written is not None and rows != written:
        raise Damaged(path, f"it has {rows:,} rows, of which {written:,} were written")


def rows_written(path: Path) -> int | None:
    """Return the number of rows that the file was made with; None where it does not say."""
    made = read_provenance(path)
    counts = made.get("counts")
    if ROWS in made or not isinstance(counts, dict):
        rows: int | None = made.get(ROWS)
        return rows
    if made.get("step") == "prep":  # by split, beside the problems
        return int(sum(count for name, count in counts.items() if name in LIMITS["split"].allowed))
    every: int | None = counts.get("all")
    return every


def checked(path: Path, column: pa.ChunkedArray, field: pa.Field, gaps: bool, limits: Limits | None) -> pa.ChunkedArray:
    """Return a column in the type of its field. Raises SwclError where it has gaps or values that it can't have."""
    name = field.name
    if not gaps and column.null_count:
        raise Damaged(path, f"its column {name} has gaps")
    try:
        values = column.cast(field.type)
    except pa.ArrowException:
        raise Damaged(path, f"its column {name} holds {column.type}, not {field.type}") from None
    if limits and limits.allowed and (foreign := set(values.unique().to_pylist()) - {None, *limits.allowed}):
        raise Damaged(path, f"its column {name} holds {min(foreign)!r}, which is none of {', '.join(limits.allowed)}")
    numeric = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if numeric and (fault := _fault(values, limits or Limits(), gaps)):
        raise Damaged(path, f"its column {name} holds {fault}")
    return values


def _fault(values: pa.ChunkedArray, limits: Limits, gaps: bool) -> str:
    """Say what numbers a column holds that it can't have; empty where there are none. gaps: it may have NaN."""
    floating = pa.types.is_floating(values.type)
    unknown = floating and not gaps and bool(pc.any(pc.is_nan(values)).as_py())
    found = pc.min_max(values).as_py()
    numbers = [value for value in found.values() if value is not None and value == value]
    if math.isfinite(limits.low) and (unknown or any(not limits.low <= value <= limits.high for value in numbers)):
        return f"other numbers than those from {limits.low:g} to {limits.high:g}"
    if unknown:
        return "NaN"
    return "an infinite number" if any(math.isinf(value) for value in numbers) else ""


def require_no_repeats(path: Path, key: pa.Table) -> None:
    """Raise SwclError where two rows have the same values in these columns, such as those of a row that is doubled."""
    if doubled := key.num_rows - key.group_by(key.column_names).aggregate([]).num_rows:
        raise Damaged(path, f"{doubled:,} of its rows stand there twice, by {' and '.join(key.column_names)}")
