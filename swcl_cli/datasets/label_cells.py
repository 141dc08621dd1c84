"""Read cells of people's own label columns: spellings, numbers, and words that are no value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from swcl_cli.catalogue.labels import Label
from swcl_cli.datasets.names import shortened
from swcl_cli.datasets.sheets import normal
from swcl_cli.datasets.tables import LONGEST_NUMBER, WHOLE_NUMBER

DECIMAL = re.compile(r"[+-]?\d*(?:[.]\d+|,(?!\d{3}$)\d+)")
LONGEST_NAME = 60  # letters
NO_FINDING = {"none", "nil"}  # a class beside other words, and nothing beside numbers
OF_MANIFESTS = {  # columns of a prepared set
    *("dataset", "split", "image_id", "patient_id", "group_id", "eye", "path", "width", "height", "checksum"),
    *("mask_path", "fov_path", "lesion_mask_path", "source_path", "source_hash", "mask", "image", "keywords"),
}


class Unsuitable(Exception):
    """Say why a column is no label; a phrase that fits behind its name. cells: those that it is about."""

    def __init__(self, reason: str, *cells: str) -> None:
        super().__init__(reason)
        self.cells = cells


@dataclass(frozen=True)
class Choice:
    """Hold what people say of a column: its kind, its classes in their order where they name them, and whose it is."""

    column: str
    kind: str
    names: tuple[str, ...] = ()
    of: Literal["photograph", "patient"] = "photograph"


@dataclass(frozen=True)
class LabelColumn:
    """Hold a label of people's own, its value in each row, None where it is missing, and remarks on its cells.

    absent: words that were taken as missing.
    """

    label: Label
    values: Sequence[str | float | None]
    remarks: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def require_name(name: str) -> None:
    """Raise Unsuitable where a label can't have the column's name."""
    if normal(name) in OF_MANIFESTS:
        raise Unsuitable("has a name with a meaning of its own: rename it to learn it")
    if not name.isprintable() or len(name) > LONGEST_NAME or "," in name:
        raise Unsuitable(f"has a name that no label can have: at most {LONGEST_NAME} letters, no comma")


def key_of(text: str) -> str:
    """Return what is equal of two spellings of a class: 1, 1.0, 01 and 1,0, or dr and DR."""
    number = WHOLE_NUMBER.fullmatch(text)
    if number and len(number[1]) <= LONGEST_NUMBER:
        return str(int(number[1]))
    return repr(float(text.replace(",", "."))) if DECIMAL.fullmatch(text) else normal(text)


def whole_number(key: str) -> int | None:
    return int(key) if re.fullmatch(r"-?\d{1,18}", key) else None


def is_number(key: str) -> bool:
    return whole_number(key) is not None or bool(DECIMAL.fullmatch(key))


def spelling(text: str) -> str:
    number = WHOLE_NUMBER.fullmatch(text)
    return number[1] if number else " ".join(text.split())


def without_value(values: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the words that are no value, beside empty cells."""
    return tuple(sorted(text for text, value in values.items() if text and value is None))


def quoted(texts: Iterable[str]) -> str:
    return " and ".join(f"'{shortened(text)}'" for text in texts)
