"""Read and write a prepared data set's manifest: a row for each image, null where a value is not known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swcl_cli.data.columns import MANIFEST
from swcl_cli.errors import SwclError
from swcl_cli.settings import prep_command
from swcl_cli.workspace import write_row_groups

SPLITS = ("train", "val", "test")
ROWS_AT_ONCE = 2048  # a row group
EYES = ("left", "right", "unknown")


def order(split: str, image_id: str) -> tuple[int, bytes]:
    """Return the key that a manifest's rows are sorted by."""
    return SPLITS.index(split), image_id.encode()


def write(path: Path, rows: Iterable[Mapping[str, Any]], provenance: Mapping[str, Any]) -> None:
    """Write the rows, which come in the manifest's order, with ROWS_AT_ONCE in memory. Nullable columns may be missing.

    Raises ValueError where a required value is missing, a split or eye has another name, a column is not in MANIFEST,
    the rows are not in `order`, or an image_id stands twice in its split.
    """
    write_row_groups(path, MANIFEST.schema, _tables(rows), provenance)


def read(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read the table of a prepared data set, one row a photograph, or these columns of it, with arrow dtypes.

    Raises SwclError where the file is missing or damaged.

    >>> import swcl_cli
    >>> table = swcl_cli.read_manifest("data/idrid/manifest.parquet", ["split", "dr_grade"])
    >>> table["split"].value_counts().to_dict()
    {'train': 3, 'test': 1}
    """
    path = Path(path)
    wanted = list(columns or MANIFEST.names)
    try:
        if lacking := sorted(set(wanted) - set(pq.read_schema(path).names)):
            raise SwclError(
                f"{path} is not a manifest of this version: it has no column {', '.join(lacking)}. "
                "Make it again with `swcl prep`."
            )
        table = pq.read_table(path, columns=wanted)
    except FileNotFoundError:
        raise SwclError(f"{path} is missing. Make it with: {prep_command(path.parent.name)}") from None
    except (pa.ArrowException, OSError) as error:
        raise SwclError(f"{path} can't be read: {error}. Make it again with `swcl prep`.") from error
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _tables(rows: Iterable[Mapping[str, Any]]) -> Iterator[pa.Table]:
    remaining, last = iter(rows), (-1, b"")
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
        table = _table(chunk)
        for row in chunk:
            if (key := order(row["split"], row["image_id"])) <= last:
                raise ValueError(f"a manifest is sorted by split and image_id, which is unique: {row['image_id']}")
            last = key
        yield table


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    foreign = {name for row in rows for name in row} - set(MANIFEST.names)
    if foreign:
        raise ValueError(f"a manifest has no columns {sorted(foreign)}")
    table = pa.Table.from_pylist(rows, MANIFEST.schema)
    for name in MANIFEST.required:
        if table[name].null_count:
            raise ValueError(f"a manifest's {name} is never null")
    for name, allowed in (("split", SPLITS), ("eye", EYES)):
        foreign = set(table[name].unique().to_pylist()) - set(allowed)
        if foreign:
            raise ValueError(f"a manifest's {name} is one of {allowed}, not {sorted(foreign)}")
    return table
