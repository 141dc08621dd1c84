"""Patients and equal photographs in several splits: refused, allowed, published, and told by each step that follows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings, PrepSettings
from swcl_cli.steps import prep
from swcl_cli.tasks.runs import TaskRun
from swcl_cli.workspace import Workspace
from tests import downloads
from tests.prep_runs import rows_of
from tests.prep_runs import settings as prep_settings

TOLD = r"several splits, such as .*a\.png \(t\w+\) and .*b\.png \(t\w+\): what is tested was learnt\."


def settings(tmp_path: Path, **values: Any) -> PrepSettings:
    return PrepSettings(workspace=tmp_path, dataset="folder", source=tmp_path / "source", workers=0, **values)


@pytest.fixture
def equal(tmp_path: Path) -> Path:
    """A folder whose test part holds a photograph of its train part."""
    for item, name in enumerate(("train/a.png", "train/c.png", "test/d.png")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    shutil.copy(tmp_path / "source/train/a.png", tmp_path / "source/test/b.png")
    return tmp_path


def test_equal_photographs_in_two_folders(equal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SwclError) as caught:
        prep.run(settings(equal))
    told = "folder has 1 patient or group of equal photographs in " + TOLD + " Put each into one split, or take --allow"
    assert re.match(told, str(caught.value))
    assert not Workspace(equal).manifest("folder").exists()
    frame = rows_of(prep.run(settings(equal, allow_leaks=True)))
    assert sorted(frame["split"]) == ["test", "test", "train", "train"]
    assert re.search("warning: folder has 1 patient or group of equal photographs in " + TOLD, capsys.readouterr().err)


@pytest.mark.parametrize("patient", ["P1", "NA"])
def test_a_patient_in_two_splits(tmp_path: Path, patient: str) -> None:
    """One that is not known is not one patient."""
    for item, name in enumerate(("a.png", "b.png")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    table = tmp_path / "labels.csv"
    table.write_text(f"image,patient,split\na,{patient},training\nb,{patient},testing\n")
    if patient == "NA":
        assert rows_of(prep.run(settings(tmp_path, labels=table)))["patient_id"].tolist() == ["a", "b"]
    else:
        with pytest.raises(SwclError, match=TOLD):
            prep.run(settings(tmp_path, labels=table))


def test_a_table_of_splits(equal: Path) -> None:
    (equal / "source/test").rename(equal / "source/other")
    table = equal / "splits.csv"
    rows = {"train_a": "train", "train_c": "train", "other_b": "validation", "other_d": "testing"}
    table.write_text("image_id,split\n" + "".join(f"{name},{split}\n" for name, split in rows.items()))
    with pytest.raises(SwclError, match="1 patient or group of equal photographs in several splits"):
        prep.run(settings(equal, split_file=table))
    table.write_text(table.read_text().replace("validation", "train"))
    assert sorted(rows_of(prep.run(settings(equal, split_file=table)))["split"]) == ["test", "train", "train", "train"]


def test_splits_that_are_drawn_keep_groups_together(equal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (equal / "source/test").rename(equal / "source/other")
    (equal / "source/train").rename(equal / "source/all")
    frame = rows_of(prep.run(settings(equal)))
    assert frame.groupby("group_id")["split"].nunique().max() == 1
    assert "several splits" not in capsys.readouterr().err


def test_published_splits_stay_and_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As IDRiD's train 118, which is its test 064."""
    source = downloads.idrid(tmp_path / "source", 5, 3)
    part = source / "B. Disease Grading/1. Original Images"
    shutil.copy(part / "a. Training Set/IDRiD_002.jpg", part / "b. Testing Set/IDRiD_001.jpg")
    frame = rows_of(prep.run(prep_settings(tmp_path, "idrid", source)))
    told = capsys.readouterr().err
    assert "warning: idrid has 1 patient or group of equal photographs in several splits, such as " in told
    shared = frame[frame["group_id"].duplicated(keep=False)]
    assert set(shared["split"]) >= {"test"} and len(shared) == 2
    settings = FinetuneSettings(workspace=tmp_path, task="idrid", seeds=1)
    run = TaskRun(settings, Workspace(tmp_path), TASKS["idrid"], "random", "resnet18", {}, 0, None)
    warning = (
        f"idrid: 2 photographs in {' and '.join(sorted(shared['split']))} are of one patient or equal, such as "
        f"{shared['image_id'].iloc[0]}: what is tested was learnt."
    )
    assert warning in run.cautions()
