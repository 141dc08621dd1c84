"""`prep --least-quality` sets photographs of low quality aside, and `audit` measures all: quality.parquet."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageFilter

from swcl_cli.audit import measuring
from swcl_cli.audit.quality import quality_of
from swcl_cli.data.columns import QUALITY
from swcl_cli.data.images import read_image
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.settings import AuditSettings, PrepSettings
from swcl_cli.steps import audit, prep
from swcl_cli.workspace import Workspace
from tests.audit.eyes import eyes
from tests.folders import contents
from tests.prep_runs import rows_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for patient in range(3):
        eyes(patient)[0].save(folder / f"good{patient}.png")
    eyes(3)[0].filter(ImageFilter.GaussianBlur(4)).save(folder / "blurred.png")
    eyes(4)[0].point(lambda level: round(0.2 * level)).save(folder / "dark.png")
    return folder


def run(root: Path, source: Path, **values: Any) -> set[str]:
    """Prepares `one`; returns the ids in its manifest."""
    options = {"name": "one", "size": 224, "workers": 0, "least_quality": 0.3, **values}
    frame = rows_of(prep.run(PrepSettings(workspace=root, dataset="folder", source=source, **options)))
    return set(frame["image_id"])


def listed(root: Path) -> dict[str, tuple[str, str]]:
    with open(Workspace(root).quarantine("one"), encoding="utf-8", newline="") as handle:
        return {row["source_path"]: (row["problem"], row["detail"]) for row in csv.DictReader(handle)}


def test_poor_photographs_are_set_aside_with_their_score(tmp_path: Path, source: Path) -> None:
    before = contents(source)
    assert run(tmp_path, source) == {"good0", "good1", "good2"}
    assert contents(source) == before
    aside = listed(tmp_path)
    assert aside.keys() == {"blurred.png", "dark.png"}
    assert {problem for problem, _ in aside.values()} == {"low quality"}
    detail = aside["dark.png"][1]
    assert detail.startswith("quality 0.0") and "(light 0.0" in detail and detail.endswith(", where 0.3 is the least")
    manifest = Workspace(tmp_path).manifest("one").read_bytes()
    assert run(tmp_path, source, workers=2) and Workspace(tmp_path).manifest("one").read_bytes() == manifest


def test_it_is_off_by_default(tmp_path: Path, source: Path) -> None:
    assert PrepSettings(dataset="folder").least_quality == 0
    assert len(run(tmp_path, source, least_quality=0)) == 5 and listed(tmp_path) == {}
    assert not Workspace(tmp_path).quality("one").exists()
    assert len(run(tmp_path, source)) == 3 and len(run(tmp_path, source, least_quality=0)) == 5


def test_where_none_is_good_enough(tmp_path: Path, source: Path) -> None:
    for patient in range(3):
        (source / f"good{patient}.png").unlink()
    with pytest.raises(SwclError, match=r"None of 2 photographs can be used: see .*quarantine\.csv"):
        run(tmp_path, source)
    assert len(listed(tmp_path)) == 2


def test_of_copies_a_good_one_is_kept(tmp_path: Path, source: Path) -> None:
    """The larger one is blurred, and no longer there when a copy is chosen."""
    eyes(0)[0].resize((672, 448)).filter(ImageFilter.GaussianBlur(9)).save(source / "a.png")
    kept = run(tmp_path, source, drop_copies=True)
    assert kept == {"good0", "good1", "good2"} and listed(tmp_path)["a.png"][0] == "low quality"


def test_audit_measures_each_photograph_once(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, source, least_quality=0)
    audit.run(AuditSettings(workspace=tmp_path, workers=0))
    path = Workspace(tmp_path).quality("one")
    rows = {Path(row["path"]).stem: row for row in read_columns(path, QUALITY).to_pylist()}
    assert rows.keys() == {"good0", "good1", "good2", "blurred", "dark"}
    for row in rows.values():
        expected = quality_of(read_image(tmp_path / row["path"]))
        assert {name: row[name] for name in expected._fields} == expected._asdict()
    told = " ".join(capsys.readouterr().out.split())
    assert "Quality of photographs" in told and "below 0.3" in told
    written = path.read_bytes()
    monkeypatch.setattr(measuring, "_measure", lambda places: pytest.fail("it was measured already"))
    audit.run(AuditSettings(workspace=tmp_path, workers=0))
    assert path.read_bytes() == written
    assert len(run(tmp_path, source)) == 3


def test_a_photograph_that_was_prepared_anew_is_measured_anew(tmp_path: Path, source: Path) -> None:
    assert "dark" not in run(tmp_path, source)
    eyes(4)[0].save(source / "dark.png")
    assert "dark" in run(tmp_path, source)


def test_a_damaged_table_is_told_with_the_remedy(tmp_path: Path, source: Path) -> None:
    run(tmp_path, source)
    path = Workspace(tmp_path).quality("one")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(SwclError, match=r"quality\.parquet can't be read: .* Remove it: what it held is computed"):
        run(tmp_path, source)


def test_a_prep_that_starts_over_removes_it(tmp_path: Path, source: Path) -> None:
    run(tmp_path, source)
    others = tmp_path / "others"
    others.mkdir()
    Image.new("RGB", (80, 80), (90, 60, 30)).save(others / "z.png")
    run(tmp_path, others, least_quality=0, fresh=True)
    assert not Workspace(tmp_path).quality("one").exists()
