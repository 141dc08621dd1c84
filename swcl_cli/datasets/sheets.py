"""Read the rows of a table, whatever program wrote it: text of several encodings and separators, or a workbook."""

from __future__ import annotations

import csv
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from swcl_cli.datasets.names import composed, shortened
from swcl_cli.errors import SwclError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

LARGEST_FILE, LARGEST_UNPACKED = 100_000_000, 1_000_000_000  # bytes of a table
LARGEST_SHEET = 10_000_000  # cells from A1 to the last one, empty ones included
SUFFIXES = {".xlsx", ".xlsm", ".xls"}
ZIP, OLE = b"PK\3\4", b"\xd0\xcf\x11\xe0"
WORKBOOK, WORKSHEETS = "xl/workbook.xml", "xl/worksheets/"
REFERENCE = re.compile(rb'\br="([A-Z]{0,3})(\d{1,7})"')  # of a cell, B7, or a row, 7
UNSAVED = re.compile(rb"<f\b[^>]*(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")  # a formula without its value
BYTE_ORDER = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
HEAD = 4096  # bytes in which zeros tell UTF-16 that does not say so
MANY_HIGH = re.compile(rb"[\x80-\xff]{3,}")  # European words have single accents; other scripts have runs of bytes
SEPARATORS = ",;\t|"
TOLD_SEPARATOR = re.compile(r'"?sep=(.)"?,*(\r\n|\r|\n|$)', re.IGNORECASE)  # Excel's first line
END = "\ue000end of the table\ue000"


@dataclass
class Sheet:
    """Hold the header of a table, the row in which it stands, its other rows with their numbers, and remarks.

    Cells are stripped and composed; rows without any are left out.
    """

    header: list[str]
    header_row: int
    rows: Iterator[tuple[int, list[str]]]
    remarks: list[str] = field(default_factory=list)


def normal(cell: str) -> str:
    """Return the name of a column as it is compared: single spaces, lower case."""
    return " ".join(cell.split()).casefold()


def read_sheet(path: Path, columns: Sequence[str]) -> Sheet:
    """Read the table that has these columns. Raises SwclError where there is none, or not one reading alone."""
    data = read_bytes(path)
    if data.startswith((ZIP, OLE)) or path.suffix.lower() in SUFFIXES:
        return _of_workbook(path, data, columns)
    text, remarks = _text(path, data)
    separator, text, before = _separator(path, text, columns)
    return _sheet(_text_rows(path, text, separator, before), remarks)


def read_bytes(path: Path) -> bytes:
    """Read a label file. Raises SwclError where it is no regular file, is too large, or can't be read."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SwclError(f"{path} is not a regular file: a table is a file of text or a workbook.")
        if status.st_size > LARGEST_FILE:
            raise SwclError(f"{path} has {status.st_size:,} bytes: a table has {LARGEST_FILE:,} at most.")
        return path.read_bytes()
    except OSError as error:
        raise SwclError(f"{path} can't be read: {error.strerror}.") from error


def _sheet(lines: Iterator[tuple[int, list[str]]], remarks: list[str]) -> Sheet:
    """Part the header, the first row that is not empty, from the others."""
    number, header = next(lines, (1, []))
    return Sheet(header, number, lines, remarks)


def _has(header: Sequence[str], columns: Sequence[str]) -> bool:
    return {normal(column) for column in columns} <= {normal(cell) for cell in header}


def _text(path: Path, data: bytes) -> tuple[str, list[str]]:
    """Decode a table, and say so where its encoding had to be guessed."""
    encoding = next((name for mark, name in BYTE_ORDER.items() if data.startswith(mark)), "")
    if not encoding and b"\0" in data[:HEAD]:
        zeros = [data[:HEAD][start::2].count(0) for start in (0, 1)]
        if max(zeros) > len(data[:HEAD]) / 5 and min(zeros) < max(zeros) / 4:
            encoding = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    try:
        return data.decode(encoding or "utf-8-sig"), []
    except UnicodeDecodeError as error:
        if not encoding and _is_western(data):
            return data.decode("cp1252"), ["it is not in UTF-8, and was read as Windows-1252"]
        row = data[: error.start].count(b"\n") + 1
        line = data.splitlines()[row - 1] if encoding == "" else b""
        raise SwclError(
            f"{path}, row {row}: is not a table in UTF-8, UTF-16 or Windows-1252"
            f"{f' ({shortened(ascii(line)[1:])})' if line else ''}. Save it as UTF-8."
        ) from error


def _is_western(data: bytes) -> bool:
    """Return whether bytes that are not UTF-8 can only be Windows-1252: single accents, no line of them in UTF-8."""
    lines = [line for line in data.splitlines() if not line.isascii()]
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return not any(MANY_HIGH.search(line) or _is_utf8(line) for line in lines)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _separator(path: Path, text: str, columns: Sequence[str]) -> tuple[str, str, int]:
    """Find what parts the cells: what the first line tells, or that by which all columns are there.

    Return it, the text of the table, and how many lines stand before it.
    """
    told = TOLD_SEPARATOR.match(text)
    if told:
        return told[1], text[told.end() :], 1
    headers = {separator: next(_text_rows(path, text, separator, 0), (1, []))[1] for separator in SEPARATORS}
    fitting = [separator for separator in SEPARATORS if _has(headers[separator], columns)]
    return max(fitting or SEPARATORS, key=lambda separator: len(headers[separator])), text, 0


def _text_rows(path: Path, text: str, separator: str, before: int) -> Iterator[tuple[int, list[str]]]:
    """Yield number and cells of each row that is not empty. before: lines of the file that stand before the text."""
    reader = csv.reader(chain(StringIO(text, newline=""), [END]), delimiter=separator)
    number = before + 1
    try:
        for cells in reader:
            if cells == [END]:
                return
            if cells and cells[-1].endswith(END):
                told = f"the quotation mark before '{shortened(cells[-1].removesuffix(END))}' is never closed"
                raise SwclError(f"{path}, row {number}: {told}.")
            stripped = [composed(cell.strip()) for cell in cells]
            if any(stripped):
                yield number, stripped
            number = before + reader.line_num + 1
    except csv.Error as error:
        told = f"a cell is longer than {csv.field_size_limit():,} characters: is a quotation mark open?"
        raise SwclError(f"{path}, row {number}: {told if 'limit' in str(error) else f'{error}.'}") from error


def _of_workbook(path: Path, data: bytes, columns: Sequence[str]) -> Sheet:
    """Read the only worksheet that has these columns, hidden ones aside; the first where none has."""
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    unsaved = _check_extent(path, data) if data.startswith(ZIP) else 0
    try:
        workbook = CalamineWorkbook.from_filelike(BytesIO(data))
        about = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        visible = [sheet for sheet in about if sheet.visible == SheetVisibleEnum.Visible] or about
        sheets = {sheet.name: workbook.get_sheet_by_name(sheet.name) for sheet in visible}
    except BaseException as error:  # calamine raises classes of its own for damaged files, and panics for some
        if isinstance(error, KeyboardInterrupt | MemoryError):
            raise
        raise SwclError(f"{path} can't be read as an Excel table: {error}.") from error
    tables = {name: _sheet(_workbook_rows(path, sheet), []) for name, sheet in sheets.items()}
    filled = {name: table for name, table in tables.items() if table.header}
    fitting = [name for name, table in filled.items() if _has(table.header, columns)]
    if columns and len(fitting) > 1:
        raise SwclError(f"{path}: the sheets {' and '.join(map(repr, fitting))} both have these columns. Keep one.")
    chosen = next(iter([*fitting, *filled]), None)
    if chosen is None:
        return Sheet([], 1, iter(()))
    table = filled[chosen]
    others = [repr(name) for name in filled if name != chosen]
    table.remarks += [f"its sheet {chosen!r} was read, not {', '.join(others)}"] if others else []
    if unsaved:
        table.remarks.append(
            f"formulas that were saved without their values: {unsaved:,}, which count as empty; open it in a "
            "spreadsheet program and save it there"
        )
    return table


def _check_extent(path: Path, data: bytes) -> int:
    """Check what reading an .xlsx file costs: a cell far away makes a sheet of so many cells that memory ends.

    Return the number of cells whose formula was saved without its value, as programs do that can't compute it. Raises
    SwclError.
    """
    unsaved = 0
    try:
        with ZipFile(BytesIO(data)) as archive:
            entries = archive.infolist()
            if WORKBOOK not in archive.namelist():
                raise SwclError(f"{path} is no .xlsx file inside: save it as .xlsx or .csv.")
            if sum(entry.file_size for entry in entries) > LARGEST_UNPACKED:
                raise SwclError(f"{path} has more than {LARGEST_UNPACKED:,} bytes once unpacked.")
            for entry in entries:
                if entry.filename.startswith(WORKSHEETS) and entry.filename.endswith(".xml"):
                    cells = archive.read(entry)
                    unsaved += len(UNSAVED.findall(cells))
                    references = {match.groups() for match in REFERENCE.finditer(cells)}
                    rows = max((int(row) for _, row in references), default=0)
                    column = max((letters for letters, _ in references), key=_column_number, default=b"")
                    _check_size(path, rows, _column_number(column))
    except (BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise SwclError(f"{path} can't be read as an Excel table: {error}.") from error
    return unsaved


def _column_number(letters: bytes) -> int:
    """Return the number of a column: A is 1, Z 26, AA 27."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number


def _check_size(path: Path, rows: int, columns: int) -> None:
    if rows * columns > LARGEST_SHEET:
        raise SwclError(
            f"{path}: a cell stands as far out as row {rows:,}, column {columns:,}. Delete what is beside the table."
        )


def _workbook_rows(path: Path, sheet: CalamineSheet) -> Iterator[tuple[int, list[str]]]:
    last = sheet.end or (0, 0)
    _check_size(path, last[0] + 1, last[1] + 1)
    for number, values in enumerate(sheet.to_python(skip_empty_area=False), start=1):
        cells = [_workbook_cell(value) for value in values]
        if any(cells):
            yield number, cells


def _workbook_cell(value: Any) -> str:
    """Return a cell of an Excel file as text. Excel has no integers: 3.0 is 3."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else composed(str(value).strip())
