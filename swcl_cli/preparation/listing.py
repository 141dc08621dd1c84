"""List the data sets for `swcl prep list`: where each comes from, and what this workspace holds of it."""

from __future__ import annotations

import csv
from collections.abc import Mapping

from swcl_cli.data.manifest import SPLITS
from swcl_cli.datasets import DATASETS, OWN
from swcl_cli.workspace import Workspace, read_provenance

COLUMNS = ("data set", "train / val / test", "download", "prepared here", "quarantine.csv")


def rows(workspace: Workspace) -> list[tuple[str, ...]]:
    """Return COLUMNS of each data set: images as published by split, and those in this workspace, `-` for none."""
    table: list[tuple[str, ...]] = []
    own = [name for name in workspace.prepared() if name not in DATASETS]
    for name, source in {**DATASETS, **dict.fromkeys(own, DATASETS[OWN])}.items():
        prepared = quarantined = "-"
        if workspace.manifest(name).is_file():
            prepared = _by_split(read_provenance(workspace.manifest(name)).get("counts", {}))
            quarantined = f"{_quarantined(workspace, name):,}"
        published = _by_split(source.published) if source.published else "any"
        table.append((name, published, source.size, prepared, quarantined))
    return table


def descriptions() -> list[str]:
    """Describe each data set: what it is, where to get it, its terms, and the layout that SOURCE must have."""
    return [
        f"{name}: {source.about}, from {source.origin}. Terms: {source.terms}.{source.page and f' {source.page}'}\n"
        f"  SOURCE holds {source.layout}."
        for name, source in DATASETS.items()
    ]


def _by_split(counts: Mapping[str, int]) -> str:
    return " / ".join(f"{counts[split]:,}" if split in counts else "-" for split in SPLITS)


def _quarantined(workspace: Workspace, name: str) -> int:
    path = workspace.quarantine(name)
    if not path.is_file():
        return 0
    with open(path, encoding="utf-8", newline="") as handle:
        return sum(1 for _ in csv.DictReader(handle))
