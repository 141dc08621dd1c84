"""The page: one file with all its pictures, readable without a network, a script or a mouse."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from swcl_cli import __version__
from swcl_cli.legible import legible
from swcl_cli.reporting.figures.style import Picture, Rendered
from swcl_cli.reporting.findings.cautions import Caution
from swcl_cli.reporting.findings.glance import Fact
from swcl_cli.reporting.findings.origins import Origin
from swcl_cli.reporting.tables.table import Cell, Table

LONG = 28  # letters in a cell that may be broken, rather than make its table wide
PART = re.compile(r" (?=[(\[])")  # between a number, its interval and its n, where a line may break
NUMBER = re.compile(r"[+\-\u2212]?\d|-$")


@dataclass(frozen=True)
class Section:
    """A heading with its tables and pictures. Folded tables stay closed until they are opened."""

    name: str
    title: str
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    folded: Sequence[Table] = ()

    @property
    def empty(self) -> bool:
        return not (self.tables or self.pictures or self.folded)

    def only(self, drawn: Collection[str]) -> Section:
        """Without the pictures whose names are not among these."""
        return replace(self, pictures=[picture for picture in self.pictures if picture.name in drawn])


def render_page(
    phantom: bool,
    facts: Sequence[Fact],
    cautions: Sequence[Caution],
    sections: Sequence[Section],
    drawn: Mapping[str, Rendered],
    origins: Sequence[Origin],
    photographs: bool = True,
) -> str:
    """HTML in which every text is escaped. Equal contents give equal text.

    drawn: what the sections' pictures became, by name. photographs: False says that they were left out, and that names
    stand for ids.
    """
    environment = Environment(
        loader=PackageLoader("swcl_cli.reporting.page", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_finalize,
    )  # fmt: skip
    return environment.get_template("page.html.j2").render(
        phantom=phantom, facts=facts, cautions=cautions, sections=sections, drawn=drawn, photographs=photographs,
        origins_by_place=by_place(origins), words_of=columns_of_words, class_of=_class_of, parts_of=PART.split,
        version=__version__,
    )  # fmt: skip


def _finalize(value: object) -> object:
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _class_of(cell: Cell, words: bool, again: bool) -> str:
    """`again`: it repeats the head of the row above."""
    kinds = {"words": words, "long": len(cell.text) > LONG and words, "again": again}
    return " ".join(kind for kind, holds in kinds.items() if holds)


def by_place(origins: Sequence[Origin]) -> list[tuple[str, list[Origin]]]:
    """Those whose files lie beside each other under one heading, a task's in its folder: data, swap.parquet, ..."""
    return [(place, list(made)) for place, made in groupby(origins, lambda origin: _place(origin.path))]


def _place(path: str) -> str:
    parts = path.split("/")
    return "/".join(parts[:2] if parts[0] == "finetune" else parts[:1])


def columns_of_words(table: Table) -> list[bool]:
    """Whether each column holds words, which start on the left; numbers end on the right."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return [not all(NUMBER.match(cell.text) for cell in column if cell.text) for column in columns]
