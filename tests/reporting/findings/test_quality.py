"""The quality of photographs in the report: the worst and the borderline ones, and counts by data set."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from swcl_cli.audit.quality import DOUBTFUL, PARTS
from swcl_cli.data import manifest
from swcl_cli.data.columns import QUALITY
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.figures.quality import quality_figure
from swcl_cli.reporting.findings.quality import borderline, qualities, worst
from swcl_cli.reporting.tables.quality import quality_table
from swcl_cli.workspace import Workspace, write_parquet


def measure(workspace: Workspace, dataset: str, scores: list[float], part: str = "light") -> None:
    """Write quality.parquet: of the first photographs these scores, by this part; of the others 1."""
    table = manifest.read(workspace.manifest(dataset), ["path", "checksum"])
    values = [*scores, *[1.0] * (len(table) - len(scores))]
    frame = pd.DataFrame(
        {
            "path": table["path"].tolist(),
            "checksum": table["checksum"].tolist(),
            "field_found": True,
            "quality": values,
            **{name: values if name == part else 1.0 for name in PARTS},
        }
    )
    made = {"step": "audit", "settings": {}, "inputs": {}}
    write_parquet(workspace.quality(dataset), QUALITY.table(frame[QUALITY.names]), made)


@pytest.fixture
def measured(workspace: Workspace) -> Contents:
    measure(workspace, "odir", [0.05, 0.29, 0.9])
    measure(workspace, "idrid", [0.1], "sharpness")
    return read_contents(workspace)


def test_without_measurements_nothing_is_shown(contents: Contents) -> None:
    assert quality_table(contents) is None and quality_figure(contents) is None and qualities(contents).empty


def test_counts_by_data_set_and_worst_part(measured: Contents) -> None:
    table = quality_table(measured)
    assert table is not None
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    photographs = {name: f"{len(measured.datasets[name].images):,}" for name in ("odir", "idrid")}
    assert rows["OIA-ODIR"] == [photographs["odir"], "1.00", "2", "light 2"]
    assert rows["IDRiD"] == [photographs["idrid"], "1.00", "1", "sharpness 1"]


def test_the_worst_and_the_borderline(measured: Contents) -> None:
    found = qualities(measured)
    assert worst(found, 2)["quality"].tolist() == [0.05, 0.1]
    assert worst(found, 2)["dataset"].tolist() == ["odir", "idrid"]
    assert abs(borderline(found, 1)["quality"].item() - DOUBTFUL) == pytest.approx(0.01)
    figure = quality_figure(measured)
    assert figure is not None and figure.photographic
    assert "0.05, light" in figure.alt


def test_photographs_that_are_prepared_no_longer_are_left_out(workspace: Workspace) -> None:
    measure(workspace, "odir", [0.05])
    table = manifest.read(workspace.manifest("odir"))
    contents = read_contents(workspace)
    odir = contents.datasets["odir"]
    contents.datasets["odir"] = replace(odir, images=odir.images.iloc[1:])
    assert len(qualities(contents)) == len(table) - 1 and qualities(contents)["quality"].min() == 1.0
