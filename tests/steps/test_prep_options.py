"""`prep`'s options: people's own splits, cropping, keywords, and the list of data sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from swcl_cli.datasets import DATASETS
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
from swcl_cli.workspace import fingerprint, read_provenance
from tests import downloads
from tests.prep_runs import odir_source, quarantine, rows_of, settings


@pytest.fixture
def odir(tmp_path: Path) -> Path:
    return odir_source(tmp_path / "source")


def own_splits(path: Path, odd: str = "test") -> Path:
    rows = [[f"{patient}_{eye}", odd if patient % 2 else "train"] for patient in range(20) for eye in ("right", "left")]
    downloads.write_csv(path, [["image_id", "split"], *rows], ending="\r\n", start="\ufeff")
    return path


def test_own_splits_replace_all(tmp_path: Path, odir: Path) -> None:
    table = own_splits(tmp_path / "mine.csv")
    path = prep.run(settings(tmp_path / "work", "odir", odir, split_file=table))
    frame = rows_of(path)
    assert frame["split"].value_counts().to_dict() == {"train": 20, "test": 20}
    assert all((row.split == "test") == (int(row.patient_id) % 2 == 1) for row in frame.itertuples())
    provenance = read_provenance(path)
    assert provenance["inputs"]["split_file"] == fingerprint(table)
    plain = read_provenance(prep.run(settings(tmp_path / "work", "odir", odir)))
    assert provenance["splits"] != plain["splits"]
    assert plain["splits"] == read_provenance(prep.run(settings(tmp_path / "again", "odir", odir)))["splits"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3_left,test", "99_left,test", r"mine\.csv, row \d+, column 'image_id': there is no image '99_left'"),
        ("3_left,test", "3_left,dev", r"mine\.csv, row \d+, column 'split': 'dev' is none of train, val, test"),
        ("3_left,test", "3_left,", r"mine\.csv, row \d+, column 'split': is empty"),
        ("3_left,test", "4_left,test", r"mine\.csv, row \d+, column 'image_id': '4_left' stands in row \d+ already"),
        ("3_left,test\r\n", "", r"mine\.csv names no split for 1 of 40 images, such as 3_left"),
        ("image_id,split", "image,split", r"mine\.csv, row 1: column 'image_id' is missing"),
    ],
)
def test_bad_splits_stop(tmp_path: Path, odir: Path, old: str, new: str, message: str) -> None:
    table = own_splits(tmp_path / "mine.csv")
    text = table.read_bytes().decode()
    start = text.index(f"\n{old}") + 1 if f"\n{old}" in text else text.index(old)
    table.write_bytes((text[:start] + new + text[start + len(old) :]).encode())
    with pytest.raises(SwclError, match=message):
        prep.run(settings(tmp_path / "work", "odir", odir, split_file=table))
    assert not (tmp_path / "work").exists()


def test_cropping_to_the_field_of_view(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for item in range(6):
        wide = Image.new("RGB", (360, 240))
        wide.paste(downloads.photograph(item, 200, 200), (30, 20))
        source.mkdir(exist_ok=True)
        wide.save(source / f"{item}.jpg", quality=95)
    frame = rows_of(prep.run(settings(tmp_path / "whole", "folder", source, size=96)))
    assert set(zip(frame["width"], frame["height"], strict=True)) == {(144, 96)}
    path = prep.run(settings(tmp_path / "cropped", "folder", source, size=96, crop_to_field=True))
    frame = rows_of(path)
    assert all(min(row.width, row.height) == 96 and max(row.width, row.height) <= 98 for row in frame.itertuples())
    provenance = read_provenance(path)
    assert provenance["settings"]["crop_to_field"] is True
    masked = downloads.chase(tmp_path / "chase", (1, 2))
    with pytest.raises(UsageError, match="crop_to_field: chase-db1 has pixel masks, which would not fit any more"):
        prep.run(settings(tmp_path / "work", "chase-db1", masked, size=0, crop_to_field=True))


def test_clean_keywords_leave_eyes_out(tmp_path: Path) -> None:
    words = {patient: ("normal fundus", "lens dust" if patient == 3 else "drusen") for patient in range(10)}
    source = downloads.odir_kaggle(tmp_path / "source", words)
    assert len(rows_of(prep.run(settings(tmp_path / "a", "odir", source)))) == 20
    path = prep.run(settings(tmp_path / "b", "odir", source, keywords="clean"))
    assert len(rows_of(path)) == 19 and read_provenance(path)["settings"]["keywords"] == "clean"
    assert quarantine(tmp_path / "b", "odir") == [("preprocessed_images/3_right.jpg", "dropped")]


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        ("odir", {"patients": 9}, "patients belongs to phantom, not to odir"),
        ("eyepacs", {"keywords": "clean"}, "keywords belongs to odir, not to eyepacs"),
        ("odir", {"labels": "a.csv", "masks": "b"}, "labels and masks belong to folder, not to odir"),
    ],
)
def test_options_belong_to_their_data_sets(dataset: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PrepSettings.model_validate({"dataset": dataset, **options})


def test_a_missing_source_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SOURCE is missing: swcl prep odir SOURCE"):
        prep.run(PrepSettings(workspace=tmp_path, dataset="odir"))


def test_list_tells_of_every_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prep.run(settings(tmp_path, "idrid", downloads.idrid(tmp_path / "source", 10, 3)))
    capsys.readouterr()
    assert prep.run(PrepSettings(workspace=tmp_path, dataset="list")) == tmp_path / "data"
    text = capsys.readouterr().out
    for name, source in DATASETS.items():
        told = f"{name}: {source.about}, from {source.origin}. Terms: {source.terms}."
        assert (f"{told} {source.page}" if source.page else told) in text
        assert source.layout in text
    line = next(line for line in text.splitlines() if line.startswith("│ idrid"))
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "idrid",
        "413 / - / 103",
        "212 MB",
        "8 / 2 / 3",
        "0",
    ]
