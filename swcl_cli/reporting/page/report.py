"""Make the report: its sections, then its figures one by one, then its files."""

from __future__ import annotations

from collections.abc import Sequence

from swcl_cli.datasets import DATASETS, OWN
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.style import Figure
from swcl_cli.reporting.findings.cautions import PHANTOM_EYES, cautions
from swcl_cli.reporting.findings.consistency import straightened
from swcl_cli.reporting.findings.glance import facts
from swcl_cli.reporting.findings.next_steps import next_steps
from swcl_cli.reporting.findings.origins import origins
from swcl_cli.reporting.page.html import render_page
from swcl_cli.reporting.page.pseudonyms import Pseudonyms
from swcl_cli.reporting.page.rendering import Rendered, render
from swcl_cli.reporting.page.sections import sections
from swcl_cli.reporting.tables.formats import to_csv, to_latex, to_markdown
from swcl_cli.reporting.tables.table import Cell, Table

PAGE = "index.html"
FORMATS = {"md": to_markdown, "csv": to_csv, "tex": to_latex}


class Report:
    """Make what is shown of a workspace. Without photographs, names stand for the ids of patients and photographs."""

    def __init__(self, contents: Contents, photographs: bool = True) -> None:
        self.contents, self.photographs = straightened(contents), photographs
        self.sections = sections(self.contents, photographs)
        self.pseudonyms = None if photographs else Pseudonyms(self.contents)
        self.rendered: dict[str, Rendered] = {}
        self.tables: list[Table] = []
        self.warnings = 0

    @property
    def figures(self) -> list[Figure]:
        """List those to be drawn."""
        figures = [figure for section in self.sections for figure in section.figures]
        return [figure for figure in figures if self.photographs or not figure.photographic]

    @property
    def caution(self) -> str:
        """Return what the terminal says before all numbers; empty where it need not."""
        return PHANTOM_EYES if self.contents.phantom else ""

    def draw(self, figure: Figure) -> None:
        """Draw a figure; one that can't be drawn is named among the damaged."""
        words = f"The figure {figure.title!r} is left out: "
        if rendered := self.contents.attempt(lambda: render(figure, self.pseudonyms), words):
            self.rendered[figure.name] = rendered

    def files(self) -> dict[str, bytes]:
        """Return tables, figures and, last, the page, by their places in the folder of the report."""
        contents = self.contents
        shown = [section for section in (section.only(self.rendered) for section in self.sections) if not section.empty]
        glance, warnings, made, steps = facts(contents), cautions(contents), origins(contents), next_steps(contents)
        if self.pseudonyms:
            glance, warnings, shown, made, steps = self.pseudonyms.all_of((glance, warnings, shown, made, steps))
        self.warnings = len(warnings)
        self.tables = [table for section in shown for table in (*section.tables, *section.folded)]
        files = {**_table_files(self.tables), **_figure_files(list(self.rendered.values()))}
        sources = [DATASETS[name] for name in contents.datasets if name in DATASETS and name != OWN]
        page = render_page(
            contents.phantom,
            glance,
            warnings,
            shown,
            self.rendered,
            made,
            self.photographs,
            sorted(files),
            steps,
            sources,
        )
        return {**files, PAGE: page.encode()}

    def table_two(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]] | None:
        """Return caption, columns and rows for the terminal, where marks stand for bold and underlined."""
        if (table := self._table("results")) is None:
            return None
        caption = (
            "Percent, mean ± deviation; * told apart from all others, + from all others pretrained on the retina only"
        )
        return caption, table.columns, [[_marked(cell) for cell in row] for row in table.rows]

    def standings(self) -> Sequence[str]:
        """Say of each task of that table whether the best one is told apart."""
        table = self._table("results")
        return table.conclusions if table else ()

    def comparison(self) -> Table | None:
        """Return the table of differences for the terminal: what pretraining adds, where it is known."""
        return self._table("study") or self._table("differences")

    def _table(self, name: str) -> Table | None:
        return next((table for table in self.tables if table.name == name), None)


def _marked(cell: Cell) -> str:
    marks = f"{' *' if cell.best else ''}{' +' if cell.best_in_domain else ''}"
    return f"{cell.text}{marks}{f' (paper {cell.published})' if cell.published else ''}"


def _table_files(tables: Sequence[Table]) -> dict[str, bytes]:
    return {
        f"tables/{table.name}.{suffix}": write(table).encode() for table in tables for suffix, write in FORMATS.items()
    }


def _figure_files(figures: Sequence[Rendered]) -> dict[str, bytes]:
    return {
        f"figures/{each.figure.name}.{suffix}": data
        for each in figures
        for suffix, data in (("png", each.png), ("svg", each.svg), ("pdf", each.pdf))
    }
