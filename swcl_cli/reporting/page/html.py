"""Write the page: one file with all its figures, readable without a network, a script or a mouse."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import unescape
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from swcl_cli import __version__
from swcl_cli.catalogue.citation import bibtex
from swcl_cli.datasets.download import Source
from swcl_cli.legible import legible
from swcl_cli.reporting.findings.cautions import Caution
from swcl_cli.reporting.findings.glance import Fact
from swcl_cli.reporting.findings.next_steps import Step
from swcl_cli.reporting.findings.origins import Origin
from swcl_cli.reporting.page.rendering import Rendered
from swcl_cli.reporting.page.sections import Section
from swcl_cli.reporting.tables.formats import CODE
from swcl_cli.reporting.tables.table import Cell, Table

LONG = 28  # letters in a cell that may be broken, rather than make its table wide
TEXT, LETTER, BESIDE_TEXT = 46.0, 0.54, 1.3  # rem: of the text column, of a letter in a table, and around a cell
PART = re.compile(r" (?=[(\[])")  # between a number, its interval and its n, where a line may break
GENERATOR = re.compile(r'<meta name="generator" content="swcl [^"]*">')
FILES = re.compile(r'<meta name="swcl-files" content="([^"]*)">')
NUMBER = re.compile(r"[+\-\u2212]?\d|-$")


def render_page(
    phantom: bool,
    facts: Sequence[Fact],
    cautions: Sequence[Caution],
    sections: Sequence[Section],
    drawn: Mapping[str, Rendered],
    origins: Sequence[Origin],
    photographs: bool = True,
    files: Sequence[str] = (),
    steps: Sequence[Step] = (),
    sources: Sequence[Source] = (),
) -> str:
    """Write HTML in which every text is escaped. Equal contents give equal text.

    drawn: the sections' figures once they are rendered, by name. photographs: False says that they were left out, and
    that names stand for ids. files: what is written beside the page, which the page remembers: `read_files`. steps:
    what to do next; sources: the data sets to be cited.
    """
    environment = Environment(
        loader=PackageLoader("swcl_cli.reporting.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["prose"] = prose
    return environment.get_template("page.html.j2").render(
        **{"phantom": phantom, "facts": facts, "cautions": cautions, "sections": sections, "drawn": drawn},
        **{"words_of": columns_of_words, "class_of": _class_of, "parts_of": PART.split},
        **{"is_wide": is_wide, "steps": steps, "sources": sources, "bibtex": bibtex(__version__)},
        origins_by_place=by_place(origins),
        photographs=photographs,
        version=__version__,
        files=json.dumps(list(files)),
    )


def prose(text: str) -> Markup:
    """Escape a sentence, and show what stands between backticks as code."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(legible(text)))))


def is_wide(table: Table) -> bool:
    """Tell whether a table needs more room than the text, by the longest cell of each column."""
    columns = zip(*table.rows, strict=True) if table.rows else ()
    letters = [max(len(cell.text) for cell in column) for column in columns]
    heads = [max(map(len, column.split()), default=0) for column in table.columns]
    room = sum(BESIDE_TEXT + max(pair) * LETTER for pair in zip(letters, heads, strict=bool(letters)))
    return room > TEXT


def is_ours(page: str) -> bool:
    """Return whether `render_page` made a page, of this version or another."""
    return bool(GENERATOR.search(page))


def read_files(page: str) -> list[str] | None:
    """Read which files were written beside a page; None of earlier versions, which do not tell it."""
    told = FILES.search(page)
    return [str(name) for name in json.loads(unescape(told[1]))] if told else None


def _finalize(value: object) -> object:
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _class_of(cell: Cell, words: bool, again: bool) -> str:
    """Return the CSS classes of a cell. again: it repeats the head of the row above."""
    kinds = {"words": words, "long": len(cell.text) > LONG and words, "again": again}
    return " ".join(kind for kind, holds in kinds.items() if holds)


def by_place(origins: Sequence[Origin]) -> list[tuple[str, list[Origin]]]:
    """Group origins under the place of their files: data, finetune/TASK, or the file itself."""
    return [(place, list(made)) for place, made in groupby(origins, lambda origin: _place(origin.path))]


def _place(path: str) -> str:
    parts = path.split("/")
    return "/".join(parts[:2] if parts[0] == "finetune" else parts[:1])


def columns_of_words(table: Table) -> list[bool]:
    """Tell which columns hold words, which start on the left; numbers end on the right."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return [not all(NUMBER.match(cell.text) for cell in column if cell.text) for column in columns]
