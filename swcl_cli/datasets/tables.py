"""The one reader of label files: .csv and .xlsx as they come, strict in what matters."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from swcl_cli.errors import SwclError

WHOLE_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a label file; it knows where it stands, for the messages."""

    file: Path
    number: int
    cells: dict[str, str]

    def __str__(self) -> str:
        return f"{self.file.name}, row {self.number}"

    def wrong(self, column: str, why: str) -> SwclError:
        return SwclError(f"{self.file}, row {self.number}, column '{column}': {why}.")

    def optional(self, column: str) -> str | None:
        """The cell, or None where it is empty or the table has no such column."""
        return self.cells.get(column) or None

    def text(self, column: str) -> str:
        """The cell. Raises SwclError where it is empty."""
        if not self.cells[column]:
            raise self.wrong(column, "is empty")
        return self.cells[column]

    def integer(self, column: str, low: int, high: int) -> int:
        """The cell as a whole number. Raises SwclError where it is none, or not in low ... high."""
        text = self.text(column)
        if not WHOLE_NUMBER.fullmatch(text):
            raise self.wrong(column, f"'{text}' is not a whole number")
        value = int(text.partition(".")[0])
        if not low <= value <= high:
            raise self.wrong(column, f"{value} is not in {low} to {high}")
        return value

    def choice(self, column: str, words: Mapping[str, str]) -> str:
        """What `words` makes of the cell, whatever its case. Raises SwclError where it has no such word."""
        text = self.text(column)
        if text.lower() not in words:
            raise self.wrong(column, f"'{text}' is none of {', '.join(words)}")
        return words[text.lower()]

    def truth(self, column: str) -> bool:
        """The cell as 0 or 1. Raises SwclError where it is neither."""
        return bool(self.integer(column, 0, 1))

    def name(self, column: str) -> str:
        """The cell as the bare name of a file. Raises SwclError where it could lead to another folder."""
        text = self.text(column)
        if PurePosixPath(text).name != text or not _stays_within(text):
            raise self.wrong(column, f"'{text}' is not the name of a file in the folder of images")
        return text

    def path(self, column: str) -> str:
        """The cell as a path within a folder. Raises SwclError where it could lead out of it."""
        text = self.text(column)
        if PurePosixPath(text).is_absolute() or not _stays_within(text):
            raise self.wrong(column, f"'{text}' is not a path in the folder of images")
        return PurePosixPath(text).as_posix()


def _stays_within(text: str) -> bool:
    parts = PurePosixPath(text).parts
    return bool(parts) and "\\" not in text and text.isprintable() and not any(part.startswith(".") for part in parts)


def read_header(path: Path) -> list[str]:
    """The names of the columns: lower case, single spaces. Raises SwclError where the file can't be read."""
    return [_normal(cell) for cell in next(_lines(path), (1, []))[1]]


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> list[Row]:
    """The rows of a label file, with these columns as stripped text; optional ones where the table has them.

    Columns may be shuffled, and differ in case and in spaces; further columns and empty rows are ignored. Raises
    SwclError naming file, row and column where a column is missing or doubled, the header row is repeated, or a row
    has more cells than the header.
    """
    lines = _lines(path)
    header_number, header = next(lines, (1, []))
    names = [_normal(cell) for cell in header]
    wanted = [*columns, *(column for column in optional if _normal(column) in names)]
    places = {column: _place(path, names, column) for column in wanted}
    rows = []
    for number, cells in lines:
        if any(cells[len(header) :]):
            raise SwclError(f"{path}, row {number}: has {len(cells)} cells, but the header has {len(header)}.")
        picked = {column: cells[place] if place < len(cells) else "" for column, place in places.items()}
        if all(_normal(cell) == _normal(column) for column, cell in picked.items()):
            raise SwclError(f"{path}, row {number}: repeats the header of row {header_number}. Remove it.")
        rows.append(Row(path, number, picked))
    if not rows:
        raise SwclError(f"{path} has no rows below its header.")
    return rows


def require_unique(rows: Sequence[Row], column: str) -> None:
    """Raises SwclError at the first cell that stood in an earlier row already."""
    first: dict[str, int] = {}
    for row in rows:
        text = row.text(column)
        if text in first:
            raise row.wrong(column, f"'{text}' stands in row {first[text]} already")
        first[text] = row.number


def _normal(cell: str) -> str:
    return " ".join(cell.split()).casefold()


def _place(path: Path, names: Sequence[str], column: str) -> int:
    found = [place for place, name in enumerate(names) if name == _normal(column)]
    if len(found) != 1:
        there = ", ".join(f"'{name}'" for name in names if name)
        problem = "is there more than once" if found else f"is missing; there are {there or 'none'}"
        raise SwclError(f"{path}, row 1: column '{column}' {problem}.")
    return found[0]


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    return _excel_lines(path) if path.suffix.lower() in {".xlsx", ".xls"} else _csv_lines(path)


def _csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle)
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    yield reader.line_num, stripped
    except (csv.Error, UnicodeDecodeError) as error:
        raise SwclError(f"{path} is not a table in UTF-8: {error}.") from error
    except OSError as error:
        raise SwclError(f"{path} can't be read: {error.strerror}.") from error


def _excel_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        sheet = pd.read_excel(path, engine="calamine", header=None, dtype=object, keep_default_na=False)
    except Exception as error:  # calamine raises classes of its own for damaged files
        raise SwclError(f"{path} can't be read as an Excel table: {error}.") from error
    for number, values in enumerate(sheet.itertuples(index=False), start=1):
        cells = [_excel_cell(value) for value in values]
        if any(cells):
            yield number, cells


def _excel_cell(value: object) -> str:
    """Excel knows no integers: 3.0 is 3. An empty cell comes as None, NaN or ''."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
