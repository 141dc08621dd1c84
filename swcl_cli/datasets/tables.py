"""Read label tables as they are published, and check every cell that is used."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from swcl_cli.catalogue.labels import LABELS
from swcl_cli.datasets.names import shortened
from swcl_cli.datasets.sheets import Sheet, normal, read_sheet
from swcl_cli.errors import SwclError

WHOLE_NUMBER = re.compile(r"([+-]?\d+)(\.0*|,(?!000$)0+)?")  # 1, 1.0 and 1,0; 1,000 could be a thousand
WHOLE_AS_TEXT = re.compile(r"(\d+)\.0+")  # a column of numbers as pandas and R write it
LONGEST_NUMBER = 18  # digits
MOST_NAMED = 40  # columns in a message
SAYS_NOTHING = {"na", "nan", "null", "nil", "none", "unknown", "missing", "unbekannt", "inconnu", "desconocido"}
TRUTH = {  # as spreadsheets of several languages write it
    **dict.fromkeys(("true", "wahr", "vrai", "verdadero", "verdadeiro", "vero"), True),
    **dict.fromkeys(("false", "falsch", "faux", "falso"), False),
}


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
        """Return the cell, or None where it is empty or a word for it (NA), or the table has no such column."""
        text = self.cells.get(column, "")
        return None if says_nothing(text) else text

    def text(self, column: str) -> str:
        """Return the cell. Raises SwclError where it is empty."""
        if not self.cells[column]:
            raise self.wrong(column, "is empty")
        return self.cells[column]

    def integer(self, column: str, low: int, high: int) -> int:
        """Return the cell as a whole number from low to high. Raises SwclError where it is no such number."""
        text = self.text(column)
        number = WHOLE_NUMBER.fullmatch(text)
        if number is None:
            raise self.wrong(column, f"'{shortened(text)}' is not a whole number")
        if len(number[1]) > LONGEST_NUMBER or not low <= int(number[1]) <= high:
            raise self.wrong(column, f"{shortened(number[1])} is not in {low} to {high}")
        return int(number[1])

    def choice(self, column: str, words: Mapping[str, str]) -> str:
        """Return the value that `words` gives for the cell, whatever its case. Raises SwclError for another word."""
        text = self.text(column)
        if text.lower() not in words:
            raise self.wrong(column, f"'{shortened(text)}' is none of {', '.join(words)}")
        return words[text.lower()]

    def truth(self, column: str) -> bool:
        """Return the cell, 0 or 1, true or false, as a bool. Raises SwclError where it is neither."""
        word = TRUTH.get(self.text(column).casefold())
        return bool(self.integer(column, 0, 1)) if word is None else word

    def label(self, column: str, label: str) -> bool | int | str:
        """Return the cell as a value of this label (catalogue/labels.py). Raises SwclError where it is none."""
        fact = LABELS[label]
        if fact.kind == "binary":
            return self.truth(column)
        return self.choice(column, dict(fact.words)) if fact.words else self.integer(column, fact.low, fact.high)

    def identifier(self, column: str) -> str:
        """Return the cell as an identifier. A number that was saved with decimals, 7.0, is 7."""
        text = self.text(column)
        number = WHOLE_AS_TEXT.fullmatch(text)
        return number[1] if number else text

    def name(self, column: str) -> str:
        """Return the cell as the bare name of a file. Raises SwclError where it could lead to another folder."""
        text = self.text(column)
        if "/" in text or not _is_plain(text):
            raise self.wrong(column, f"'{shortened(text)}' is not the name of a file in the folder of images")
        return text

    def path(self, column: str) -> str:
        """Return the cell as a path within a folder. Raises SwclError where it could lead out of it."""
        text = self.text(column)
        path = PurePosixPath(text.replace("\\", "/"))
        if not path.parts or not all(map(_is_plain, path.parts)):
            raise self.wrong(column, f"'{shortened(text)}' is not a path in the folder of images")
        return path.as_posix()


@dataclass(frozen=True, slots=True)
class Table:
    """Hold a label file as columns, which need less memory than rows; iterating makes each `Row` when it is used.

    header: the names of all columns, as `read_header` returns them, and the row where they stand; unused: those that
    were not asked for, as they are written; remarks: what the user is to know of how it was read.
    """

    file: Path
    numbers: array[int]  # where each row stands in the file
    columns: dict[str, list[str]]
    header: list[str]
    header_row: int
    unused: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.numbers)

    def remark(self, remarks: list[str], unused: dict[str, None] | None = None) -> None:
        """Add to the remarks what the user is to know of this table: how it was read, and columns without use.

        unused: takes these columns where they are expected, since the table is a public data set's.
        """
        remarks += [f"{self.file.name}: {remark}." for remark in self.remarks]
        if unused is not None:
            unused.update(dict.fromkeys(self.unused))
        elif self.unused:
            remarks.append(f"{self.file.name}: columns that are not used: {', '.join(self.unused)}.")

    def row(self, place: int) -> Row:
        """Return the row at a place of the columns, from 0."""
        return Row(self.file, self.numbers[place], {column: cells[place] for column, cells in self.columns.items()})

    def __iter__(self) -> Iterator[Row]:
        return map(self.row, range(len(self)))


def says_nothing(text: str) -> bool:
    """Return whether a cell says that nothing is known, as an empty one, NA, n/a, #N/A, N.A., unknown or a dash do.

    A question mark is no word for it: where a value is expected, people may have meant anything by it.
    """
    letters = re.sub(r"[\W_]+", "", text).casefold()
    return letters in SAYS_NOTHING or not (letters or "?" in text)


def _is_plain(part: str) -> bool:
    """Return whether a part of a path names an entry of a folder: not hidden, not the folder above, not the root."""
    return not part.startswith((".", "/")) and "\\" not in part and part.isprintable()


def read_header(path: Path) -> list[str]:
    """Read the names of the columns: lower case, single spaces. Raises SwclError where the file can't be read."""
    return [normal(cell) for cell in read_sheet(path, ()).header]


def read_table(
    path: Path, columns: Sequence[str], optional: Sequence[str] = (), every: bool = False, advice: str = ""
) -> Table:
    """Read these columns of a label file as stripped text; those in `optional` where the table has them.

    Columns may be shuffled, and differ in case and in spaces; further columns and empty rows are left out. every: all
    others that have a name of their own are read too, by the name that is written. advice: what to do where a column
    is missing, as the end of a sentence. Raises SwclError naming file, row and column where a column is missing or
    stands twice, the header row is repeated, a row has more cells than the header, or a cell of a column that was asked
    for has a line break in it.
    """
    sheet = read_sheet(path, columns)
    names = [normal(cell) for cell in sheet.header]
    asked = {column: normal(column) for column in (*columns, *(name for name in optional if normal(name) in names))}
    further = [
        " ".join(written.split())
        for written, name in zip(sheet.header, names, strict=True)
        if every and name and names.count(name) == 1 and name not in asked.values()
    ]
    wanted = [*asked, *further]
    places = {column: _place(sheet, path, column, advice) for column in wanted}
    table = Table(path, array("q"), {column: [] for column in wanted}, names, sheet.header_row, remarks=sheet.remarks)
    used = {*places.values()}
    filled = {place for place, name in enumerate(names) if name}
    last, short = max(filled, default=0), array("q")
    for number, cells in sheet.rows:
        if any(cells[len(names) :]):
            raise SwclError(f"{path}, row {number}: has {len(cells)} cells, but the header has {len(names)}.")
        picked = {column: cells[place] if place < len(cells) else "" for column, place in places.items()}
        if all(normal(cell) == normal(column) for column, cell in picked.items()):
            raise SwclError(f"{path}, row {number}: repeats the header of row {sheet.header_row}. Remove it.")
        for column, cell in picked.items():
            if column in asked and ("\n" in cell or "\r" in cell):
                told = f"'{shortened(cell)}' goes over several lines: is a quotation mark open?"
                raise SwclError(f"{path}, row {number}, column '{column}': {told}")
            table.columns[column].append(cell)
        table.numbers.append(number)
        if len(cells) <= last:
            short.append(number)
        filled.update(place for place, cell in enumerate(cells) if cell)
    if not len(table):
        raise SwclError(f"{path} has no rows below its header.")
    if short:
        table.remarks.append(
            f"rows with fewer cells than the header: {len(short):,}, such as row {short[0]}; the rest counts as empty"
        )
    blank = [column for column in asked if column not in columns and all(map(says_nothing, table.columns[column]))]
    if blank:
        table.remarks.append(f"columns in which no row has a value: {', '.join(map(repr, blank))}")
    table.unused.extend(_shown(sheet, place) for place in sorted(filled - used))
    return table


def _shown(sheet: Sheet, place: int) -> str:
    if not (name := sheet.header[place]):
        return f"number {place + 1}, without a name"
    doubled = list(map(normal, sheet.header)).count(normal(name)) > 1
    return f"'{shortened(name)}'{' (there is more than one of this name)' if doubled else ''}"


def require_unique(table: Table, column: str) -> None:
    """Check that no two rows have the same cell in this column. Raises SwclError naming both."""
    seen: set[str] = set()
    for row in table:
        text = row.text(column)
        if text in seen:
            first = table.numbers[table.columns[column].index(text)]
            raise row.wrong(column, f"'{shortened(text)}' stands in row {first} already")
        seen.add(text)


def _place(sheet: Sheet, path: Path, column: str, advice: str) -> int:
    names = [normal(cell) for cell in sheet.header]
    places = [place for place, name in enumerate(names) if name == normal(column)]
    if len(places) != 1:
        columns = ", ".join(f"'{shortened(name)}'" for name in names[:MOST_NAMED] if name)
        problem = "is there more than once" if places else f"is missing; there are {columns or 'none'}{advice}"
        raise SwclError(f"{path}, row {sheet.header_row}: column '{column}' {problem}.")
    return places[0]
