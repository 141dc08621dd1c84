"""`prep phantom`: drawn once, prepared as real downloads are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from swcl_cli.errors import SwclError
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
from swcl_cli.workspace import Workspace, read_provenance
from tests.prep_runs import quarantine, rows_of


def test_phantom_eyes_go_the_same_way(tmp_path: Path) -> None:
    options = PrepSettings(workspace=tmp_path, dataset="phantom", size=96, patients=8, drawn_size=96, workers=0)
    assert prep.run(options) == tmp_path / "data"
    work = Workspace(tmp_path)
    frames = {name: rows_of(work.manifest(name)) for name in ("odir", "eyepacs", "idrid", "drive")}
    assert {name: len(frame) for name, frame in frames.items()} == {"odir": 16, "eyepacs": 32, "idrid": 10, "drive": 10}
    assert {name: frame["height"].min() for name, frame in frames.items()} == {
        "odir": 96,
        "eyepacs": 96,
        "idrid": 75,
        "drive": 584,
    }
    assert all(frames[name]["lesion_mask_path"].notna().all() for name in ("odir", "eyepacs", "idrid"))
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / "phantom").rglob("[!.]*.*")}
    prep.run(options)
    assert len(drawn) > 100 and drawn == {path: path.stat().st_mtime_ns for path in drawn}
    with pytest.raises(
        SwclError, match=r"holds something else than this drawing .*: remove it, or name another SOURCE"
    ):
        prep.run(options.model_copy(update={"seed": 1}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    with pytest.raises(SwclError, match="holds something else"):
        prep.run(options.model_copy(update={"source": tmp_path / "mine"}))
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"thesis.tex"}


OTHERS = ["messidor", "refuge-cls", "refuge-seg", "folder"]


def test_the_other_data_sets_are_drawn_when_asked_for(tmp_path: Path) -> None:
    options = PrepSettings(
        workspace=tmp_path, dataset="phantom", size=96, patients=8, drawn_size=96, workers=0, drawn=OTHERS
    )
    prep.run(options)
    work = Workspace(tmp_path)
    frames = {name: rows_of(work.manifest(name)) for name in OTHERS}
    assert {name: frame["split"].value_counts().to_dict() for name, frame in frames.items()} == {
        "messidor": {"train": 12},
        "refuge-cls": {"train": 6, "val": 6, "test": 6},
        "refuge-seg": {"train": 6, "val": 6, "test": 6},
        "folder": {"train": 8, "val": 2},
    }
    assert {name: quarantine(tmp_path, name) for name in OTHERS if quarantine(tmp_path, name)} == {
        "messidor": [
            ("Base11/20051020_63045_0100_PP.tif", "corrected"),
            ("Base33/20051020_44141_0100_PP.tif", "dropped"),
            ("Base33/20051205_33025_0400_PP.tif", "duplicate"),
            ("Base33/20051205_33026_0400_PP.tif", "dropped"),
        ]
    }
    assert set(frames["refuge-seg"]["width"]) == {110} and frames["refuge-seg"]["mask_path"].notna().all()
    assert set(frames["refuge-cls"].groupby("split")["glaucoma"].sum()) == {2}
    assert frames["folder"]["eye"].value_counts().to_dict() == {"left": 5, "right": 5}
    assert json.loads((tmp_path / "phantom/drawing.json").read_text())["drawn"] == ["messidor", "refuge", "folder"]


def test_an_interrupted_drawing_goes_on(tmp_path: Path) -> None:
    options = PrepSettings(
        workspace=tmp_path / "work",
        dataset="phantom",
        size=96,
        patients=8,
        drawn_size=96,
        workers=0,
        drawn=["messidor"],
    )
    prep.run(options)
    folder = tmp_path / "work/phantom"
    whole = {path: path.read_bytes() for path in folder.rglob("*.tif")}
    description = json.loads((folder / "drawing.json").read_text())
    (folder / "drawing.json").write_text(json.dumps({**description, "drawn": []}))
    next(iter(whole)).unlink()
    prep.run(options)
    assert {path: path.read_bytes() for path in folder.rglob("*.tif")} == whole


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="drawn: there is no data set drve"):
        PrepSettings(dataset="phantom", drawn=["drve"])


def test_eyes_drawn_outside_the_workspace_are_known_as_such(tmp_path: Path) -> None:
    """By the report, which else would take them for photographs of real eyes; by name too, as a download is given."""
    drawn, workspace = tmp_path / "drawn", tmp_path / "workspace"
    options: dict[str, Any] = {"size": 96, "patients": 8, "drawn_size": 96, "workers": 0}
    prep.run(PrepSettings(workspace=workspace, dataset="phantom", source=drawn, drawn=["drive"], **options))
    path = Workspace(workspace).manifest("drive")
    assert not Workspace(workspace).phantom.exists() and read_provenance(path)["phantom"] is True
    assert read_contents(Workspace(workspace)).phantom
    before = path.read_bytes()
    prep.run(PrepSettings(workspace=workspace, dataset="drive", source=drawn / "drive", size=0, workers=0))
    assert path.read_bytes() == before
    shutil.copytree(drawn / "drive", tmp_path / "elsewhere/drive")
    other = tmp_path / "other"
    prep.run(PrepSettings(workspace=other, dataset="drive", source=tmp_path / "elsewhere/drive", size=0, workers=0))
    assert "phantom" not in read_provenance(Workspace(other).manifest("drive"))
    prep.run(PrepSettings(workspace=other, dataset="phantom", drawn=["stare"], **options))
    assert "phantom" not in read_provenance(Workspace(other).manifest("stare")) and Workspace(other).phantom.is_dir()
