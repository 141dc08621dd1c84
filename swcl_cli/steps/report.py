"""Write a page with tables and figures about all results in the workspace: the step `report`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from swcl_cli import console
from swcl_cli.errors import SwclError
from swcl_cli.reporting.evidence.damage import grouped
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.page.html import is_ours, read_files
from swcl_cli.reporting.page.report import PAGE, Report
from swcl_cli.settings import ReportSettings
from swcl_cli.workspace import Workspace, atomic


def run(settings: ReportSettings) -> Path:
    """Write report/{tables,figures}/, then report/index.html; return the path of the page."""
    workspace = Workspace(settings.workspace)
    earlier = _earlier(workspace.report)
    report = Report(read_contents(workspace), photographs=not settings.no_images)
    figures = report.figures
    with console.progress("figures", len(figures)) as bar:
        for figure in figures:
            report.draw(figure)
            bar.advance()
    files = report.files()
    _write(workspace.report, files, earlier)
    if report.caution:
        console.warn(report.caution)
    if table := report.table_two():
        console.table(*table)
        for conclusion in report.standings():
            console.say(conclusion)
    if compared := report.comparison():
        rows = [[cell.text for cell in row] for row in compared.rows]
        console.table(f"{compared.title}, in points, with 95 % intervals", compared.columns, rows)
        for conclusion in compared.conclusions:
            console.say(conclusion)
    for damage in grouped(report.contents.damaged):
        console.warn(damage)
    if settings.no_images and (others := _others(workspace.report, files)):
        console.warn(
            f"{workspace.report} holds {len(others):,} files that are not of this report, such as {others[0]}: they "
            "may show photographs. Don't pass them on."
        )
    numbers = f"figures: {len(report.rendered)}; warnings at the top of the page: {report.warnings}"
    console.say(f"Tables: {len(report.tables)}; {numbers}.")
    return workspace.report / PAGE


def _earlier(folder: Path) -> list[str]:
    """List the files beside the page of an earlier report. Raises SwclError where the page is not one of ours."""
    page = folder / PAGE
    if not os.path.lexists(page):
        return []
    text = page.read_text(encoding="utf-8", errors="replace") if page.is_file() else ""
    if not is_ours(text):
        raise SwclError(f"{page} was not made by swcl report, which does not replace it. Move it away.")
    told = read_files(text)
    return [path.relative_to(folder).as_posix() for path in folder.glob("*/*.*")] if told is None else told


def _write(folder: Path, files: Mapping[str, bytes], earlier: Iterable[str]) -> None:
    """Write the files in their order, the page last, and only then remove those of an earlier report that it lacks.

    So an interruption leaves the old page or the new page, with its tables and figures. What others put there stays.
    """
    for name, written in files.items():
        with atomic(folder / name) as partial_file:
            partial_file.write_bytes(written)
    for name in earlier:
        if name not in files and (folder / name).resolve().is_relative_to(folder.resolve()):
            (folder / name).unlink(missing_ok=True)


def _others(folder: Path, files: Collection[str]) -> list[str]:
    """List the files in a report's folder that are none of its own, below it."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for name in found if name not in files)
