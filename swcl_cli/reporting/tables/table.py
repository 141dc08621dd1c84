"""What a table of the report is, and the first of them: data sets (Table I)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from swcl_cli.data.manifest import SPLITS
from swcl_cli.datasets import DATASETS, chase_db1, odir
from swcl_cli.reporting.evidence.contents import Contents, DataSet
from swcl_cli.reporting.findings.names import title

Value = str | float | int | None


@dataclass(frozen=True)
class Cell:
    """A cell as it reads, and the value behind it for CSV where that says more. Marks as in the paper's Table II.

    `published`: what the paper has in its place, shown beside it in grey.
    """

    text: str = ""
    value: Value = None
    best: bool = False
    best_in_domain: bool = False
    published: str = ""


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
        published = _published(dataset)
        patients, listed = dataset.images["patient_id"].nunique(), dataset.problems.total()
        counts = [_beside(split, prepared, published) for split in SPLITS]
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
            "Where no validation photographs are published, a fifth of the training patients became them: of these. "
            "quarantine.csv lists files that can't be used, labels without a file, and duplicates.",
        ),
        records=(header, *records),
    )


def _published(dataset: DataSet) -> Mapping[str, int]:
    """By split, of the packaging that was prepared."""
    name, made = dataset.name, dataset.artefact
    published = DATASETS[name].published if name in DATASETS else {}
    files = {PurePosixPath(path).name for path in made.provenance.get("inputs", {})}
    if name == "odir" and (kept := {split for split, (_, labels) in odir.PARTS.items() if labels in files}):
        return {split: published[split] for split in kept}
    if name == "odir" and files & set(odir.KAGGLE_LABELS):
        return {"train": published["train"]}
    if name == "chase-db1":
        train = chase_db1.SPLITS.get(str(made.settings.get("chase_split")), published["train"])
        return {"train": train, "test": sum(published.values()) - train}
    return published


def _beside(split: str, prepared: dict[str, int], published: Mapping[str, int]) -> Cell:
    """Prepared of published; photographs that validate, where none are published for it, were published to train."""
    drawn = prepared["val"] if "train" in published and "val" not in published else 0
    if split == "val" and drawn:
        return Cell(f"{drawn:,} of these", drawn)
    number = prepared[split] + (drawn if split == "train" else 0)
    return Cell(f"{number:,} of {published[split]:,}", prepared[split]) if split in published else count(number)
