"""Read the table that says which structure each value or colour of a mask stands for."""

from __future__ import annotations

import re
from pathlib import Path

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.datasets.mask_folders import BACKGROUND, IGNORE, structure_name
from swcl_cli.datasets.tables import Row, read_header, read_table
from swcl_cli.errors import SwclError

NAME = "name"
VALUES = ("value", "colour", "color")
HIGHEST = 255
BLACK = "#000000"
HEX = re.compile(r"#?([0-9a-f]{6})", re.IGNORECASE)
THREE = re.compile(r"\(?\s*(\d{1,3})\s*[,; ]\s*(\d{1,3})\s*[,; ]\s*(\d{1,3})\s*\)?")


def read_classes(path: Path, remarks: list[str]) -> Structures:
    """Read the columns `name` and `value`, or `colour`: a grey value or palette index, `#rrggbb`, or `r,g,b`.

    The names `background` and `ignore` are of no structure. A name may have several values; a value in several rows is
    part of several structures, which then may overlap. Without a row of its own 0, or black, is the background.
    remarks: takes what the user is to know of the table. Raises SwclError, with file, row and column.
    """
    header = read_header(path)
    columns = [column for column in VALUES if column in header]
    if len(columns) != 1:
        told = "has several of the columns" if columns else "has none of the columns"
        raise SwclError(f"{path} {told} {', '.join(VALUES)}: a table of classes has one of them, and `{NAME}`.")
    named: dict[int | str, list[str]] = {}
    rows = read_table(path, (columns[0], NAME))
    rows.remark(remarks)
    for row in rows:
        value = _value(row, columns[0])
        names = named.setdefault(value, [])
        name = _name(row)
        if name in names or (names and {name, *names} & {BACKGROUND, IGNORE}):
            raise row.wrong(columns[0], f"'{row.cells[columns[0]]}' is {names[0]} already")
        names.append(name)
        if len({type(value) for value in named}) > 1:
            raise row.wrong(columns[0], "is a colour where other rows have values, or the other way about")
    is_colour = isinstance(next(iter(named)), str)
    named = {(BLACK if is_colour else 0): [BACKGROUND], **named} if not {0, BLACK} & named.keys() else named
    if not (structures := _structures(named)).names:
        raise SwclError(f"{path} names no structure beside {BACKGROUND} and {IGNORE}.")
    return structures


def _structures(named: dict[int | str, list[str]]) -> Structures:
    """Number colours in their order, black first; values stand for themselves."""
    ordered = sorted(named.items(), key=lambda entry: entry[0] not in (0, BLACK))
    shades, names = [], dict.fromkeys(name for of_value in named.values() for name in of_value)
    first = 0 if {0, BLACK} & named.keys() else 1
    for number, (value, of_value) in enumerate(ordered, first):
        shades.append(
            Shade(
                code=value if isinstance(value, int) else number,
                names=tuple(name for name in of_value if name not in (BACKGROUND, IGNORE)),
                ignored=IGNORE in of_value,
                value=value if isinstance(value, int) else None,
                colour=value if isinstance(value, str) else None,
            )
        )
    return Structures(tuple(name for name in names if name not in (BACKGROUND, IGNORE)), tuple(shades))


def _name(row: Row) -> str:
    text = row.text(NAME)
    if text.lower() in (BACKGROUND, IGNORE):
        return text.lower()
    try:
        return structure_name(text)
    except ValueError as error:
        raise row.wrong(NAME, str(error)) from None


def _value(row: Row, column: str) -> int | str:
    """Return a grey value or palette index as a number, a colour as `#rrggbb`."""
    text = row.text(column)
    if three := THREE.fullmatch(text):
        levels = [int(level) for level in three.groups()]
        if max(levels) <= HIGHEST:
            return "#" + bytes(levels).hex()
    elif hexadecimal := HEX.fullmatch(text):
        if text.startswith("#") or column != VALUES[0]:
            return f"#{hexadecimal[1].lower()}"
    elif text.isdecimal() and int(text) <= HIGHEST:
        return int(text)
    raise row.wrong(
        column, f"'{text}' is no value of 0 to {HIGHEST} and no colour: #rrggbb, or r,g,b in quotation marks"
    )
