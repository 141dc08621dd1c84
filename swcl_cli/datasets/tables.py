"""Read label files (.csv, .xls, .xlsx) as they are published, and check every cell that is used."""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from swcl_cli.catalogue.labels import LABELS
from swcl_cli.errors import SwclError

WHOLE_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")


@dataclass(frozen=True, slots=True)
class Row:
    """Read the cells of a row of a label file, with errors that name file, row and column."""

    file: Path
    number: int
    cells: dict[str, str]

    def __str__(self) -> str:
        return f"{self.file.name}, row {self.number}"

    def wrong(self, column: str, why: str) -> SwclError:
        """Return an error about a cell, which names file, row and column."""
        return SwclError(f"{self.file}, row {self.number}, column '{column}': {why}.")

    def optional(self, column: str) -> str | None:
        """Return the cell, or None where it is empty or the table has no such column."""
        return self.cells.get(column) or None

    def text(self, column: str) -> str:
        """Return the cell. Raises SwclError where it is empty."""
        if not self.cells[column]:
            raise self.wrong(column, "is empty")
        return self.cells[column]

    def integer(self, column: str, low: int, high: int) -> int:
        """Return the cell as a whole number from low to high. Raises SwclError where it is no such number."""
        text = self.text(column)
        if not WHOLE_NUMBER.fullmatch(text):
            raise self.wrong(column, f"'{text}' is not a whole number")
        value = int(text.partition(".")[0])
        if not low <= value <= high:
            raise self.wrong(column, f"{value} is not in {low} to {high}")
        return value

    def choice(self, column: str, words: Mapping[str, str]) -> str:
        """Return the value that `words` gives for the cell, whatever its case. Raises SwclError for another word."""
        text = self.text(column)
        if text.lower() not in words:
            raise self.wrong(column, f"'{text}' is none of {', '.join(words)}")
        return words[text.lower()]

    def truth(self, column: str) -> bool:
        """Return the cell, 0 or 1, as a bool. Raises SwclError where it is neither."""
        return bool(self.integer(column, 0, 1))

    def label(self, column: str, label: str) -> bool | int | str:
        """Return the cell as a value of this label (catalogue/labels.py). Raises SwclError where it is none."""
        fact = LABELS[label]
        if fact.kind == "binary":
            return self.truth(column)
        return self.choice(column, dict(fact.words)) if fact.words else self.integer(column, fact.low, fact.high)

    def name(self, column: str) -> str:
        """Return the cell as the bare name of a file. Raises SwclError where it could lead to another folder."""
        text = self.text(column)
        if "/" in text or not _is_plain(text):
            raise self.wrong(column, f"'{text}' is not the name of a file in the folder of images")
        return text

    def path(self, column: str) -> str:
        """Return the cell as a path within a folder. Raises SwclError where it could lead out of it."""
        text = self.text(column)
        path = PurePosixPath(text)
        if not path.parts or not all(map(_is_plain, path.parts)):
            raise self.wrong(column, f"'{text}' is not a path in the folder of images")
        return path.as_posix()


@dataclass(frozen=True, slots=True)
class Table:
    """Hold a label file as columns, which need less memory than rows; iterating makes each `Row` when it is used."""

    file: Path
    numbers: array[int]  # where each row stands in the file
    columns: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Row]:
        for number, *cells in zip(self.numbers, *self.columns.values(), strict=True):
            yield Row(self.file, number, dict(zip(self.columns, cells, strict=True)))


def _is_plain(part: str) -> bool:
    """Return whether a part of a path names an entry of a folder: not hidden, not the folder above, not the root."""
    return not part.startswith((".", "/")) and "\\" not in part and part.isprintable()


def read_header(path: Path) -> list[str]:
    """Read the names of the columns: lower case, single spaces. Raises SwclError where the file can't be read."""
    return [_normal(cell) for cell in next(_lines(path), (1, []))[1]]


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Table:
    """Read these columns of a label file as stripped text; those in `optional` where the table has them.

    Columns may be shuffled, and differ in case and in spaces; further columns and empty rows are ignored. Raises
    SwclError naming file, row and column where a column is missing or stands twice, the header row is repeated, or a
    row has more cells than the header.
    """
    lines = _lines(path)
    header_number, header = next(lines, (1, []))
    names = [_normal(cell) for cell in header]
    wanted = [*columns, *(column for column in optional if _normal(column) in names)]
    places = {column: _place(path, names, column) for column in wanted}
    table = Table(path, array("q"), {column: [] for column in wanted})
    for number, cells in lines:
        if any(cells[len(header) :]):
            raise SwclError(f"{path}, row {number}: has {len(cells)} cells, but the header has {len(header)}.")
        picked = {column: cells[place] if place < len(cells) else "" for column, place in places.items()}
        if all(_normal(cell) == _normal(column) for column, cell in picked.items()):
            raise SwclError(f"{path}, row {number}: repeats the header of row {header_number}. Remove it.")
        table.numbers.append(number)
        for column, cell in picked.items():
            table.columns[column].append(cell)
    if not len(table):
        raise SwclError(f"{path} has no rows below its header.")
    return table


def require_unique(table: Table, column: str) -> None:
    """Check that no two rows have the same cell in this column. Raises SwclError naming both."""
    seen: set[str] = set()
    for row in table:
        text = row.text(column)
        if text in seen:
            first = table.numbers[table.columns[column].index(text)]
            raise row.wrong(column, f"'{text}' stands in row {first} already")
        seen.add(text)


def _normal(cell: str) -> str:
    return " ".join(cell.split()).casefold()


def _place(path: Path, names: Sequence[str], column: str) -> int:
    places = [place for place, name in enumerate(names) if name == _normal(column)]
    if len(places) != 1:
        columns = ", ".join(f"'{name}'" for name in names if name)
        problem = "is there more than once" if places else f"is missing; there are {columns or 'none'}"
        raise SwclError(f"{path}, row 1: column '{column}' {problem}.")
    return places[0]


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
    import pandas as pd

    try:
        sheet = pd.read_excel(path, engine="calamine", header=None, dtype=object, keep_default_na=False)
    except Exception as error:  # calamine raises classes of its own for damaged files
        raise SwclError(f"{path} can't be read as an Excel table: {error}.") from error
    for number, values in enumerate(sheet.itertuples(index=False), start=1):
        cells = [_excel_cell(value) for value in values]
        if any(cells):
            yield number, cells


def _excel_cell(value: object) -> str:
    """Return a cell of an Excel file as text. Excel has no integers: 3.0 is 3. None, NaN and '' are empty cells."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
