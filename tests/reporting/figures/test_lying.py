"""How photographs lie, in the report: counts by data set, and pictures of those upside down or named otherwise."""

from __future__ import annotations

from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.figures.lying import SHOWN, lying_figures
from swcl_cli.reporting.page.sections import sections
from swcl_cli.reporting.tables.lying import lying_table
from swcl_cli.workspace import Workspace
from tests import prepared


def test_without_an_audit_nothing_is_said(workspace: Workspace) -> None:
    contents = read_contents(workspace)
    assert lying_table(contents) is None and lying_figures(contents) == []


def test_counts_and_pictures(workspace: Workspace) -> None:
    """eyepacs: two upside down, one patient named otherwise; odir: all unsure."""
    rows = prepared.orientation(workspace.root, "eyepacs", set())
    patient, (first, second) = rows["patient_id"].iloc[-1], rows["image_id"].iloc[:2]
    assert patient not in rows["patient_id"].iloc[:2].tolist()
    rows = prepared.orientation(workspace.root, "eyepacs", {first, second}, patient, sure=0.95)
    other = prepared.orientation(workspace.root, "odir", set(), sure=0.6)
    contents = read_contents(workspace)
    table = lying_table(contents)
    assert table is not None
    named, misnamed = int((rows["eye"] != "unknown").sum()), int((rows["patient_id"] == patient).sum())
    others = int((other["eye"] != "unknown").sum())
    assert table.records[1] == ("eyepacs", len(rows), 2, 0, named, misnamed)
    assert table.records[2] == ("odir", len(other), 0, len(other), others, 0)
    figures = {figure.name: figure for figure in lying_figures(contents)}
    assert set(figures) == {"misnamed", "upside-down"} and all(figure.photographic for figure in figures.values())
    assert f"{first}, upside down (0.95)" in figures["upside-down"].alt
    assert f"{min(misnamed, SHOWN)} of {misnamed}." in figures["misnamed"].sentence
    hidden = [figure.name for section in sections(contents, photographs=False) for figure in section.figures]
    assert not {"misnamed", "upside-down"} & set(hidden)


def test_what_is_known_of_photographs_as_they_were_before_is_not_shown(workspace: Workspace) -> None:
    prepared.orientation(workspace.root, "eyepacs", {"x"})
    prepared.change(workspace.root, "eyepacs", age=50)
    contents = read_contents(workspace)
    assert lying_table(contents) is None and contents.damaged == []
