"""`report`: tables, figures and one page from all that the workspace holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from swcl_cli import console
from swcl_cli.reporting.evidence.contents import Contents, read_contents
from swcl_cli.reporting.evidence.damage import grouped
from swcl_cli.reporting.figures import learning as curves
from swcl_cli.reporting.figures import results as charts
from swcl_cli.reporting.figures.classification import task_curves
from swcl_cli.reporting.figures.finetuning import finetuning_curves
from swcl_cli.reporting.figures.hard_and_easy import worst_and_best
from swcl_cli.reporting.figures.patches import cam_overlays, patch_construction, read_examples
from swcl_cli.reporting.figures.probe import health_chart, probe_chart
from swcl_cli.reporting.figures.segmentations import segmentations
from swcl_cli.reporting.figures.style import Picture, Rendered, render
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.reporting.findings.consistency import straightened
from swcl_cli.reporting.findings.differences import differences_table
from swcl_cli.reporting.findings.glance import facts
from swcl_cli.reporting.findings.origins import origins
from swcl_cli.reporting.page.html import Section, render_page
from swcl_cli.reporting.page.pseudonyms import Pseudonyms
from swcl_cli.reporting.tables.ablation import ablation_table
from swcl_cli.reporting.tables.formats import to_csv, to_latex, to_markdown
from swcl_cli.reporting.tables.labeler import labeler_charts, labeler_outcomes_table, labeler_table
from swcl_cli.reporting.tables.patches import (
    judged_thresholds_table,
    judgement_parts_table,
    judgement_table,
    swap_table,
)
from swcl_cli.reporting.tables.results import results_table, runs_table
from swcl_cli.reporting.tables.table import Table, datasets_table
from swcl_cli.settings import ReportSettings
from swcl_cli.workspace import Workspace, atomic

FORMATS = {"md": to_markdown, "csv": to_csv, "tex": to_latex}
LEFT_OUT = "A table or figure is left out: "
Tabulate = Callable[[Contents], Table | None]
Depict = Callable[[Contents], Picture | Sequence[Picture] | None]


def run(settings: ReportSettings) -> Path:
    """Writes report/{tables,figures}/ and, once they are there, report/index.html; returns the page's path."""
    workspace = Workspace(settings.workspace)
    contents = straightened(read_contents(workspace))
    photographs = not settings.no_images
    shown = sections(contents, photographs)
    named = Pseudonyms(contents) if settings.no_images else None
    pictures = [picture for section in shown for picture in section.pictures if photographs or not picture.photographic]
    drawn = _drawn(contents, pictures, named)
    shown = [section for section in (section.only(drawn) for section in shown) if not section.empty]
    glance, warnings, made = facts(contents), cautions(contents), origins(contents)
    if named:
        glance, warnings, shown, made = named.all_of((glance, warnings, shown, made))
    page = render_page(contents.phantom, glance, warnings, shown, drawn, made, photographs)
    tables = [table for section in shown for table in (*section.tables, *section.folded)]
    _write(workspace, page, tables, drawn.values())

    for table in tables:
        if table.name == "results":
            _tell(table)
    for damage in grouped(contents.damaged):
        console.warn(damage)
    console.say(f"Tables: {len(tables)}; figures: {len(drawn)}; warnings at the top of the page: {len(warnings)}.")
    return workspace.report / "index.html"


def sections(contents: Contents, photographs: bool = True) -> list[Section]:
    """All that the page shows, in its order; nothing is drawn yet. What can't be made is named among the damaged.

    Without photographs none is opened either.
    """
    examples = read_examples(contents) if photographs else []
    return [
        Section(
            "results",
            "Results",
            tables=_tables(contents, results_table, differences_table, ablation_table),
            pictures=_pictures(contents, charts.results_charts),
            folded=_tables(contents, runs_table),
        ),
        Section("data", "Data", tables=_tables(contents, datasets_table)),
        Section(
            "labeler",
            "The labeler",
            tables=_tables(contents, labeler_table, labeler_outcomes_table),
            pictures=_pictures(contents, labeler_charts, curves.labeler_curves),
        ),
        Section(
            "swap",
            "The patches (retinal-SWAP)",
            tables=_tables(contents, swap_table, judgement_table, judged_thresholds_table),
            folded=_tables(contents, judgement_parts_table),
            pictures=_pictures(
                contents,
                partial(patch_construction, examples=examples),
                partial(cam_overlays, examples=examples),
                charts.score_histogram,
            ),
        ),
        Section(
            "pretraining",
            "Pretraining",
            pictures=_pictures(contents, probe_chart, curves.pretraining_curves, health_chart),
        ),
        Section(
            "finetuning",
            "Fine-tuning",
            pictures=_pictures(
                contents,
                *([segmentations, worst_and_best] if photographs else []),
                task_curves,
                charts.confusion_matrices,
                finetuning_curves,
            ),
        ),
    ]


def _tables(contents: Contents, *makers: Tabulate) -> tuple[Table, ...]:
    made = [contents.tried(partial(make, contents), LEFT_OUT) for make in makers]
    return tuple(table for table in made if table is not None)


def _pictures(contents: Contents, *makers: Depict) -> tuple[Picture, ...]:
    found: list[Picture] = []
    for make in makers:
        made = contents.tried(partial(make, contents), LEFT_OUT) or []
        found += [made] if isinstance(made, Picture) else made
    return tuple(found)


def _drawn(contents: Contents, pictures: Sequence[Picture], named: Callable[[str], str] | None) -> dict[str, Rendered]:
    """By the pictures' names. One that can't be drawn is named among the damaged."""
    drawn = {}
    with console.progress("figures", len(pictures)) as bar:
        for picture in pictures:
            found = contents.tried(partial(render, picture, named), f"The figure {picture.title!r} is left out: ")
            if found:
                drawn[picture.name] = found
            bar.advance()
    return drawn


def _write(workspace: Workspace, page: str, tables: Sequence[Table], figures: Iterable[Rendered]) -> None:
    """The page last, and only then away with what an earlier report left: broken off, the old page or the new one is
    there with its tables and figures.
    """
    data = {f"tables/{table.name}.{suffix}": write(table) for table in tables for suffix, write in FORMATS.items()}
    files = {name: text.encode() for name, text in data.items()}
    for figure in figures:
        files |= {f"figures/{figure.picture.name}.png": figure.png, f"figures/{figure.picture.name}.svg": figure.svg}
    for name, written in {**files, "index.html": page.encode()}.items():
        with atomic(workspace.report / name) as partial_file:
            partial_file.write_bytes(written)
    for folder in ("tables", "figures"):
        for path in sorted(workspace.report.glob(f"{folder}/**/*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with suppress(OSError):
                    path.rmdir()
            elif path.relative_to(workspace.report).as_posix() not in files:
                path.unlink()


def _tell(table: Table) -> None:
    """Table II on the terminal: * is the best, + the best of those pretrained on retinal photographs only."""
    marked = [
        [
            f"{cell.text}{' *' if cell.best else ''}{' +' if cell.best_in_domain else ''}"
            + (f" (paper {cell.published})" if cell.published else "")
            for cell in row
        ]
        for row in table.rows
    ]
    console.table(
        "Percent, mean ± deviation; * best, + best of those pretrained on the retina only", table.columns, marked
    )
