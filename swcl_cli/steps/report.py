"""Write a page with tables and figures about all results in the workspace: the step `report`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from swcl_cli import console
from swcl_cli.reporting.evidence.damage import grouped
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.page.report import Report
from swcl_cli.settings import ReportSettings
from swcl_cli.workspace import Workspace, atomic


def run(settings: ReportSettings) -> Path:
    """Write report/{tables,figures}/, then report/index.html; return the path of the page."""
    workspace = Workspace(settings.workspace)
    report = Report(read_contents(workspace), photographs=not settings.no_images)
    figures = report.figures
    with console.progress("figures", len(figures)) as bar:
        for figure in figures:
            report.draw(figure)
            bar.advance()
    _write(workspace.report, report.files())
    if table := report.table_two():
        console.table(*table)
    if compared := report.comparison():
        rows = [[cell.text for cell in row] for row in compared.rows]
        console.table(f"{compared.title}, in points, with 95 % intervals", compared.columns, rows)
        for conclusion in compared.conclusions:
            console.say(conclusion)
    for damage in grouped(report.contents.damaged):
        console.warn(damage)
    numbers = f"figures: {len(report.rendered)}; warnings at the top of the page: {report.warnings}"
    console.say(f"Tables: {len(report.tables)}; {numbers}.")
    return workspace.report / "index.html"


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files in their order, the page last, and only then remove other files of an earlier report.

    So an interruption leaves the old page or the new page, with its tables and figures.
    """
    for name, written in files.items():
        with atomic(folder / name) as partial_file:
            partial_file.write_bytes(written)
    for part in ("tables", "figures"):
        for path in sorted(folder.glob(f"{part}/**/*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with suppress(OSError):
                    path.rmdir()
            elif path.relative_to(folder).as_posix() not in files:
                path.unlink()
