"""Describe the photographs of data sets, each of them once: descriptions stay beside the prepared set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from swcl_cli import console
from swcl_cli.audit.descriptor import LENGTH, RECIPE, SKETCH, Description, describe
from swcl_cli.data.columns import DESCRIBED
from swcl_cli.data.images import read_image
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.settings import prep_command
from swcl_cli.workers import Each
from swcl_cli.workspace import Damaged, Workspace, differences, provenance, read_provenance, write_parquet

RECIPE_NAME = "recipe"  # of descriptions, among the settings in their provenance

T = TypeVar("T")


class Place(NamedTuple):
    """Locate a prepared photograph: its file, and the manifest's checksum of it."""

    path: Path
    checksum: int


class Described(NamedTuple):
    """Hold descriptions of N photographs: numbers (N, LENGTH), and sketches (N, SKETCH, SKETCH), int8."""

    numbers: NDArray[np.float32]
    sketches: NDArray[np.int8]


def described(workspace: Workspace, dataset: str, rows: pd.DataFrame, each: Each, fresh: bool) -> Described:
    """Describe the photographs of a data set; rows: `path` and `checksum` of its manifest.

    Those that an earlier audit described are taken from its file, unless `fresh`. Raises SwclError where a photograph
    is missing, or can't be read.
    """
    require_all(workspace, dataset, rows)
    path, made = workspace.descriptions(dataset), recipe(RECIPE)
    kept = {} if fresh else _kept(path, made)
    several, is_new = computed(workspace, f"describing {dataset}", rows, kept, _describe, each)
    found = Described(np.stack([one.numbers for one in several]), np.stack([one.sketch for one in several]))
    if is_new:
        write_parquet(path, _table(rows, found), made)
    return found


def computed(
    workspace: Workspace,
    words: str,
    rows: pd.DataFrame,
    kept: dict[tuple[str, int], T],
    compute: Callable[[list[Place]], list[T]],
    each: Each,
) -> tuple[list[T], bool]:
    """Compute something of each photograph that is not kept yet; return that of all, and whether any is new.

    rows: `path` and `checksum`, by which results are kept; new ones are added. words: what a progress bar says.
    """
    names = list(zip(rows["path"].tolist(), rows["checksum"].tolist(), strict=True))
    missing = {name: place for name, place in zip(names, places_of(workspace, rows), strict=True) if name not in kept}
    with console.progress(words, len(missing)) as bar:
        for name, result in zip(missing, each(compute, missing.values()), strict=True):
            kept[name] = result
            bar.advance()
    return [kept[name] for name in names], bool(missing)


def places_of(workspace: Workspace, rows: pd.DataFrame) -> list[Place]:
    """Locate photographs. rows: `path` and `checksum` of their manifests."""
    files = zip(rows["path"].tolist(), rows["checksum"].tolist(), strict=True)
    return [Place(workspace.root / path, checksum) for path, checksum in files]


def recipe(number: int) -> dict[str, object]:
    """Return the provenance of a cache: all that its numbers depend on beside the photographs."""
    return provenance("audit", {}, {}, **{RECIPE_NAME: number})


def is_current(path: Path, made: dict[str, object]) -> bool:
    """Tell whether a cache was computed as it would be now. Raises SwclError where the file is damaged."""
    before = read_provenance(path)
    alike = all(before.get(part) == made[part] for part in (RECIPE_NAME, "versions"))
    return alike and not differences(before, made)


def require_all(workspace: Workspace, dataset: str, rows: pd.DataFrame) -> None:
    """Raise SwclError where photographs have vanished since they were prepared."""
    absent = [path for path in rows["path"].tolist() if not (workspace.root / path).is_file()]
    if absent:
        raise SwclError(
            f"{len(absent):,} of {len(rows):,} photographs of {dataset} are missing, such as "
            f"{workspace.root / absent[0]}. Make them again with: {prep_command(dataset)}"
        )


def _describe(places: list[Place]) -> list[Description]:
    return [describe(read_image(place.path, place.checksum)) for place in places]


def _kept(path: Path, made: dict[str, object]) -> dict[tuple[str, int], Description]:
    """Read the descriptions that an earlier audit made in the same way, by path and checksum."""
    if not path.exists() or not is_current(path, made):
        return {}
    table = read_columns(path, DESCRIBED)
    numbers = table["numbers"].combine_chunks()
    values = numbers.values.to_numpy(zero_copy_only=False)
    sketches = table["sketch"].to_pylist()
    if len(values) != len(table) * LENGTH or not np.isfinite(values).all():
        raise Damaged(path, "its numbers are not of one width, or not all numbers")
    if any(len(sketch) != SKETCH * SKETCH for sketch in sketches):
        raise Damaged(path, "its sketches are not of one size")
    pictures = (np.frombuffer(sketch, np.int8).reshape(SKETCH, SKETCH) for sketch in sketches)
    names = zip(table["path"].to_pylist(), table["checksum"].to_pylist(), strict=True)
    return dict(zip(names, map(Description, values.reshape(-1, LENGTH), pictures), strict=True))


def _table(rows: pd.DataFrame, found: Described) -> pa.Table:
    columns = {
        "path": pa.array(rows["path"].tolist(), pa.string()),
        "checksum": pa.array(rows["checksum"].tolist(), pa.int64()),
        "numbers": pa.FixedSizeListArray.from_arrays(pa.array(found.numbers.ravel()), LENGTH).cast(
            DESCRIBED.schema.field("numbers").type
        ),
        "sketch": pa.array([sketch.tobytes() for sketch in found.sketches], pa.binary()),
    }
    return pa.table(columns, schema=DESCRIBED.schema)
