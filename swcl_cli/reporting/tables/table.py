"""Define a table of the report and its cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swcl_cli.reporting.findings.percentages import with_interval

Value = str | float | int | None


@dataclass(frozen=True)
class Cell:
    """Hold a cell as it reads, and the value behind it for CSV where that says more. Marks as in the paper's Table II.

    published: what the paper has in its place, shown beside it in grey.
    """

    text: str = ""
    value: Value = None
    best: bool = False
    best_in_domain: bool = False
    published: str = ""


@dataclass(frozen=True)
class Table:
    """name: its file's; sentence: what it shows. The first column heads its rows.

    records, header first: what the CSV holds where that should be more than the cells. conclusions: what the rows say,
    in sentences, for the terminal too.
    """

    name: str
    title: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    records: tuple[tuple[Value, ...], ...] = ()
    conclusions: tuple[str, ...] = ()


def count(number: int) -> Cell:
    return Cell(f"{number:,}", int(number))


def score_cell(value: float | None, interval: tuple[float, float] | None = None, measure: str = "") -> Cell:
    """Write a score, a share in percent, with its interval, or a dash where nothing was measured."""
    if value is None or not np.isfinite(value):
        return Cell("-", "")
    return Cell(with_interval(value, *(interval or (float("nan"), float("nan"))), measure), value)


def finite(value: float) -> float | None:
    """Return None where it is unknown, for records."""
    return value if np.isfinite(value) else None


def share(percentage: float | None) -> float | None:
    """Return the share of a percentage of the paper, for records."""
    return None if percentage is None else round(percentage / 100, 4)
