"""Read and write a prepared data set's manifest: a row for each image, null where a value is not known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from swcl_cli.catalogue.labels import LABELS, Label, read_label
from swcl_cli.catalogue.structures import Structures
from swcl_cli.data.columns import SPLITS as SPLITS
from swcl_cli.data.columns import Columns, manifest_columns
from swcl_cli.data.limits import EYES
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.settings import prep_command
from swcl_cli.workspace import METADATA_KEY, ROWS, Damaged, part_of, read_provenance, write_row_groups

ROWS_AT_ONCE = 2048  # a row group
DESCRIBED, STRUCTURES = "labels", "structures"  # in the metadata


def order(split: str, image_id: str) -> tuple[int, bytes]:
    """Return the key that a manifest's rows are sorted by."""
    return SPLITS.index(split), image_id.encode()


def write(
    path: Path,
    rows: Iterable[Mapping[str, Any]],
    provenance: Mapping[str, Any],
    labels: Iterable[str] = LABELS,
    former: Path | None = None,
    structures: Structures | None = None,
    own: Sequence[Label] = (),
) -> None:
    """Write the rows, which come in the manifest's order; ROWS_AT_ONCE of them are in memory. Nullable columns may be
    left out. labels: names of those of LABELS that the data set has; own: labels of people's own; the file's metadata
    describes both. structures: what the values of masks mean, where they are the data set's own.

    A file that says the same already stays as it is, whatever version wrote it: what was made from it remains so.
    former: where the file was put while photographs were prepared again; it comes back, or is removed.
    Raises ValueError where a required value is missing, a name is none of the allowed ones, a column is none of the
    manifest's, the rows are not in `order`, or an image_id is doubled in its split.
    """
    columns, held = manifest_columns(own), [*(LABELS[name] for name in LABELS if name in set(labels)), *own]
    described = {**provenance, DESCRIBED: [label.described() for label in held]}
    described |= {STRUCTURES: structures.described()} if structures else {}
    write_row_groups(path, columns.schema, _tables(rows, columns), described, alike=_says_the_same)
    if former and former.exists():
        former.replace(path) if _says_the_same(former, path) else former.unlink()


def _says_the_same(path: Path, other: Path) -> bool:
    """Tell whether two manifests agree in all values and in all that defines them, apart from versions of programs."""
    try:
        if _defining(path) != _defining(other):
            return False
        with pq.ParquetFile(path) as before, pq.ParquetFile(other) as after:
            names = [name for name in after.schema_arrow.names if name in before.schema_arrow.names]
            added = set(after.schema_arrow.names) - set(names)
            if not added <= LABELS.keys() or before.metadata.num_rows != after.metadata.num_rows:
                return False
            batches = (file.iter_batches(ROWS_AT_ONCE) for file in (before, after))
            return all(
                older.select(names).equals(newer.select(names))
                and all(newer[name].null_count == newer.num_rows for name in added)
                for older, newer in zip(*batches, strict=True)
            )
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return False


def _defining(path: Path) -> dict[str, Any]:
    """Return what defines a manifest's values; of labels people's own, since all else is said of LABELS by LABELS."""
    provenance = json.loads(pq.read_schema(path).metadata[METADATA_KEY.encode()])
    own = [label for label in provenance.get(DESCRIBED) or () if label["name"] not in LABELS]
    return {**{key: value for key, value in provenance.items() if key not in (ROWS, "versions")}, DESCRIBED: own}


def prepared_size(path: Path) -> int:
    """Read at which size the data set was prepared: the shorter side in pixels, or 0. Raises SwclError."""
    size: int = part_of(path, read_provenance(path), ("settings", "size"), int)
    return size


def in_words(sizes: Mapping[str, int]) -> str:
    """List the sizes at which data sets were prepared."""
    return ", ".join(f"{name} {f'{size} px' if size else 'at its own size'}" for name, size in sizes.items())


def read_labels(path: Path) -> list[Label]:
    """Read which label columns the manifest's data set has, in their order. Raises SwclError where the file is damaged.

    An older file does not say: then all that it may have are named.
    """
    if not path.exists():
        raise _missing(path)
    told = _told(path)
    return list(LABELS.values()) if told is None else told


def read_structures(path: Path) -> Structures | None:
    """Read what the values of the masks mean; None where the data set does not describe it.

    Raises SwclError where the file is missing or damaged.
    """
    if not path.exists():
        raise _missing(path)
    made = read_provenance(path)
    if made.get(STRUCTURES) is None:
        return None
    try:
        return Structures.read(part_of(path, made, (STRUCTURES,), dict[str, Any]))
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(path, "what it says of the structures in masks is of another version") from error


def _told(path: Path) -> list[Label] | None:
    """List the labels that the file describes; None of an older file, which describes none."""
    made = read_provenance(path)
    if made.get(DESCRIBED) is None:
        return None
    entries = part_of(path, made, (DESCRIBED,), list[dict[str, Any]])
    try:
        return [read_label(entry) for entry in entries]
    except (KeyError, TypeError, ValueError):
        names = [str(entry.get("name")) for entry in entries]
        foreign = next((name for name in names if name not in LABELS), names[0])
        raise Damaged(path, f"it describes the label {foreign}, which is not known here") from None


def read(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read the table of a prepared data set, one row a photograph, or these columns of it, with arrow dtypes.

    Raises SwclError where the file is missing or damaged.

    >>> import swcl_cli
    >>> table = swcl_cli.read_manifest("data/idrid/manifest.parquet", ["split", "dr_grade"])
    >>> table["split"].value_counts().to_dict()
    {'train': 3, 'test': 1}
    """
    path = Path(path)
    if not path.exists():
        raise _missing(path)
    told = _told(path) or []
    held = manifest_columns([label for label in told if label.is_own])
    wanted = list(columns or held.names)
    described = held.only([*wanted, *(name for name in held.key if name not in wanted)])
    table = read_columns(path, described, later=LABELS.keys() - {label.name for label in told}).select(wanted)
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _missing(path: Path) -> SwclError:
    return SwclError(f"{path} is missing. Make it with: {prep_command(path.parent.name)}")


def _tables(rows: Iterable[Mapping[str, Any]], columns: Columns) -> Iterator[pa.Table]:
    remaining, last = iter(rows), (-1, b"")
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
        table = _table(chunk, columns)
        for row in chunk:
            if (key := order(row["split"], row["image_id"])) <= last:
                raise ValueError(f"a manifest is sorted by split and image_id, which is unique: {row['image_id']}")
            last = key
        yield table


def _table(rows: Sequence[Mapping[str, Any]], columns: Columns) -> pa.Table:
    foreign = {name for row in rows for name in row} - set(columns.names)
    if foreign:
        raise ValueError(f"a manifest has no columns {sorted(foreign)}")
    table = pa.Table.from_pylist(rows, columns.schema)
    for name in columns.required:
        if table[name].null_count:
            raise ValueError(f"a manifest's {name} is never null")
    for name, allowed in (("split", SPLITS), ("eye", EYES)):
        foreign = set(table[name].unique().to_pylist()) - set(allowed)
        if foreign:
            raise ValueError(f"a manifest's {name} is one of {allowed}, not {sorted(foreign)}")
    return table
