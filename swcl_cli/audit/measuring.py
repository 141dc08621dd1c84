"""Measure the quality of the photographs of data sets, each of them once: data/DATASET/quality.parquet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from swcl_cli.audit.describing import Place, computed, is_current, recipe, require_all
from swcl_cli.audit.quality import Quality, quality_of
from swcl_cli.data.columns import QUALITY
from swcl_cli.data.images import read_image
from swcl_cli.data.stored import read_columns
from swcl_cli.workers import Each
from swcl_cli.workspace import Workspace, write_parquet

RECIPE = 1  # raise it when the same photograph gets other numbers


def measured(workspace: Workspace, dataset: str, rows: pd.DataFrame, each: Each, fresh: bool) -> list[Quality]:
    """Measure the photographs of a data set, in their order; rows: `path` and `checksum` of its manifest.

    Those that were measured before are taken from the file, unless `fresh`. Raises SwclError where a photograph is
    missing, or can't be read.
    """
    require_all(workspace, dataset, rows)
    path, made = workspace.quality(dataset), recipe(RECIPE)
    kept = {} if fresh else _kept(path, made)
    qualities, is_new = computed(workspace, f"measuring {dataset}", rows, kept, _measure, each)
    if is_new:
        frame = pd.DataFrame(qualities, columns=Quality._fields).assign(
            path=rows["path"].tolist(), checksum=rows["checksum"].tolist()
        )
        write_parquet(path, QUALITY.table(frame), made)
    return qualities


def _measure(places: list[Place]) -> list[Quality]:
    return [quality_of(read_image(place.path, place.checksum)) for place in places]


def _kept(path: Path, made: dict[str, object]) -> dict[tuple[str, int], Quality]:
    """Read what was measured in the same way, by path and checksum."""
    if not path.exists() or not is_current(path, made):
        return {}
    rows = read_columns(path, QUALITY).to_pylist()
    return {(row["path"], row["checksum"]): Quality(*(row[name] for name in Quality._fields)) for row in rows}
