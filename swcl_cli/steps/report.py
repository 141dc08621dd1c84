"""`report`: tables, figures and one page from all that the workspace holds."""

from __future__ import annotations

from pathlib import Path

from swcl_cli import console
from swcl_cli.reporting import charts, curves
from swcl_cli.reporting.cautions import cautions
from swcl_cli.reporting.contents import Contents, read_contents
from swcl_cli.reporting.differences import differences_table
from swcl_cli.reporting.formats import to_csv, to_latex, to_markdown
from swcl_cli.reporting.glance import facts
from swcl_cli.reporting.labeler import labeler_charts, labeler_outcomes_table, labeler_table
from swcl_cli.reporting.origins import origins
from swcl_cli.reporting.page import Section, render_page
from swcl_cli.reporting.patch_figures import cam_overlays, patch_construction, read_examples
from swcl_cli.reporting.results import ablation_table, results_table, runs_table
from swcl_cli.reporting.segmentation_figures import segmentations
from swcl_cli.reporting.style import Picture, Rendered, render
from swcl_cli.reporting.swap_tables import judged_thresholds_table, judgement_parts_table, judgement_table, swap_table
from swcl_cli.reporting.tables import Table, datasets_table
from swcl_cli.settings import ReportSettings
from swcl_cli.workspace import Workspace, atomic, remove_tree, write_text

FORMATS = {"md": to_markdown, "csv": to_csv, "tex": to_latex}


def run(settings: ReportSettings) -> Path:
    """Writes report/{tables,figures}/ and, last, report/index.html; returns the page's path."""
    workspace = Workspace(settings.workspace)
    contents = read_contents(workspace)
    sections = [section for section in _sections(contents) if not section.empty]
    warnings = cautions(contents)
    page = render_page(contents.phantom, facts(contents), warnings, sections, origins(contents))

    tables = [table for section in sections for table in (*section.tables, *section.folded)]
    figures = [figure for section in sections for figure in section.figures]
    for folder in ("tables", "figures"):
        remove_tree(workspace.report / folder)
    for table in tables:
        for suffix, written in FORMATS.items():
            write_text(workspace.report / "tables" / f"{table.name}.{suffix}", written(table))
    for figure in figures:
        for suffix, data in (("png", figure.png), ("svg", figure.svg)):
            with atomic(workspace.report / "figures" / f"{figure.picture.name}.{suffix}") as partial:
                partial.write_bytes(data)
    index = workspace.report / "index.html"
    write_text(index, page)

    for table in tables:
        if table.name == "results":
            _tell(table)
    for damage in contents.damaged:
        console.warn(damage)
    console.say(f"Tables: {len(tables)}; figures: {len(figures)}; warnings at the top of the page: {len(warnings)}.")
    return index


def _sections(contents: Contents) -> list[Section]:
    examples = read_examples(contents)
    return [
        Section(
            "results",
            "Results",
            tables=_there(results_table(contents), differences_table(contents), ablation_table(contents)),
            figures=_drawn([charts.results_chart(contents)]),
            folded=_there(runs_table(contents)),
        ),
        Section("data", "Data", tables=_there(datasets_table(contents))),
        Section(
            "labeler",
            "The labeler",
            tables=_there(labeler_table(contents), labeler_outcomes_table(contents)),
            figures=_drawn([*labeler_charts(contents), curves.labeler_curves(contents)]),
        ),
        Section(
            "swap",
            "The patches (retinal-SWAP)",
            tables=_there(swap_table(contents), judgement_table(contents), judged_thresholds_table(contents)),
            folded=_there(judgement_parts_table(contents)),
            figures=_drawn(
                [
                    patch_construction(contents, examples),
                    cam_overlays(contents, examples),
                    charts.score_histogram(contents),
                ]
            ),
        ),
        Section("pretraining", "Pretraining", figures=_drawn([curves.pretraining_curves(contents)])),
        Section(
            "finetuning",
            "Fine-tuning",
            figures=_drawn(
                [
                    *segmentations(contents),
                    *charts.confusion_matrices(contents),
                    *curves.finetuning_curves(contents),
                ]
            ),
        ),
    ]


def _there(*tables: Table | None) -> tuple[Table, ...]:
    return tuple(table for table in tables if table is not None)


def _drawn(drawings: list[Picture | None]) -> tuple[Rendered, ...]:
    return tuple(render(picture) for picture in drawings if picture is not None)


def _tell(table: Table) -> None:
    """Table II on the terminal: * is the best, + the best of those pretrained on retinal photographs only."""
    marked = [
        [f"{cell.text}{' *' if cell.best else ''}{' +' if cell.best_in_domain else ''}" for cell in row]
        for row in table.rows
    ]
    console.table(
        "Percent, mean ± deviation; * best, + best of those pretrained on the retina only", table.columns, marked
    )
