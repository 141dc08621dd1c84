"""What a table of the report is, and the first of them: data sets (Table I)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swcl_cli.data.manifest import SPLITS
from swcl_cli.datasets import DATASETS
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.names import title

Value = str | float | int | None


@dataclass(frozen=True)
class Cell:
    """A cell as it reads, and the value behind it for CSV where that says more. Marks as in the paper's Table II."""

    text: str = ""
    value: Value = None
    best: bool = False
    best_in_domain: bool = False


@dataclass(frozen=True)
class Table:
    """`name` is its file's; `sentence` says what it shows. The first column heads its rows.

    `records`, header first, is what the CSV holds where that should be more than the cells.
    """

    name: str
    title: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    records: tuple[tuple[Value, ...], ...] = ()


def count(number: int) -> Cell:
    return Cell(f"{number:,}", int(number))


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}"


def with_interval(value: float, low: float, high: float) -> str:
    """As percent: `61.2 [55.0, 67.1]`, without brackets where the interval is unknown."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return percent(value)
    return f"{percent(value)} [{percent(low)}, {percent(high)}]"


def datasets_table(contents: Contents) -> Table | None:
    """Table I: prepared photographs of each split beside the published numbers."""
    if not contents.datasets:
        return None
    rows, records = [], []
    for name, dataset in contents.datasets.items():
        prepared = {split: int((dataset.images["split"] == split).sum()) for split in SPLITS}
        published = _published(name)
        patients, listed = dataset.images["patient_id"].nunique(), dataset.problems.total()
        counts = [_beside(prepared[split], published.get(split)) for split in SPLITS]
        rows.append((Cell(title(name)), *counts, count(patients), count(listed)))
        records.append((name, *prepared.values(), *(published.get(split) for split in SPLITS), patients, listed))
    header = ("dataset", *SPLITS, *(f"{split}_published" for split in SPLITS), "patients", "listed_problems")
    return Table(
        name="datasets",
        title="Data sets",
        sentence="Photographs that were prepared, by split, and how many the publication of each data set counts.",
        columns=("data set", "training", "validation", "test", "patients", "in quarantine.csv"),
        rows=tuple(rows),
        notes=(
            "Where no validation photographs are published, a fifth of the training patients became them. "
            "quarantine.csv lists files that can't be used, labels without a file, and duplicates.",
        ),
        records=(header, *records),
    )


def _published(dataset: str) -> dict[str, int]:
    return DATASETS[dataset].published if dataset in DATASETS else {}


def _beside(prepared: int, published: int | None) -> Cell:
    return count(prepared) if published is None else Cell(f"{prepared:,} of {published:,}", prepared)
