"""What names of folders say: splits in many spellings, and masks that lie among the photographs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from swcl_cli.datasets import folder
from swcl_cli.datasets.folder_words import split_of, words_of
from swcl_cli.errors import SwclError
from swcl_cli.steps import prep
from tests import downloads
from tests.prep_runs import quarantine, rows_of, settings


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("b. Testing Set", {"b", "testing", "set"}),
        ("TestSet", {"test", "set"}),
        ("testset2", {"test"}),
        ("train_images", {"train", "images"}),
        ("contest", {"contest"}),
        ("Prüfung", {"prüfung"}),
    ],
)
def test_words(name: str, words: set[str]) -> None:
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("Off-site Test Set/a.jpg", "test"),
        ("x/1. train/a.jpg", "train"),
        ("VALIDATION_data/x/a.jpg", "val"),
        ("contest/latest/a.jpg", None),
        ("photos/test.jpg", None),
    ],
)
def test_splits(path: str, split: str | None) -> None:
    found = split_of(path)
    assert (found[0] if found else None) == split


def test_one_folder_of_two_splits_stops() -> None:
    with pytest.raises(SwclError, match="several splits, train and val"):
        split_of("train_val/a.jpg")


def test_folders_that_may_be_splits_are_told(tmp_path: Path) -> None:
    for item, name in enumerate(("dev/a.png", "holdout/b.png", "other/c.png")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    read = folder.read(tmp_path / "source")
    assert {row.split for row in read.photographs} == {"train"}
    assert read.remarks == [
        "folders that may be a split, but are taken as train: dev, holdout; --split-file names others."
    ]


@pytest.mark.parametrize(
    ("mask", "folder_of_masks"),
    [
        ("groundtruth/a.png", "groundtruth"),
        ("x/1st_manual/a_manual1.png", "x/1st_manual"),
        ("labels/train/a.png", "labels"),
        ("right/gt/a_MA.tif", "right/gt"),
        ("Masks/other.png", "Masks"),
    ],
)
def test_masks_in_folders_of_other_names_stop(tmp_path: Path, mask: str, folder_of_masks: str) -> None:
    for item, name in enumerate(("photos/a.png", mask)):
        downloads.write_photograph(tmp_path / name, item)
    with pytest.raises(SwclError, match=re.escape(f"take --masks {tmp_path / folder_of_masks}, or")):
        folder.read(tmp_path)


def test_photographs_may_lie_in_folders_of_such_names(tmp_path: Path) -> None:
    for item, name in enumerate(("lesions/a.png", "vessels/b.png", "healthy/c.png")):
        downloads.write_photograph(tmp_path / name, item)
    assert len(folder.read(tmp_path).photographs) == 3


def test_other_masks_are_found_beside_those_that_are_named(tmp_path: Path) -> None:
    downloads.write_photograph(tmp_path / "source/a.png", 1)
    for name in ("vessel masks", "disc masks"):
        (tmp_path / "source" / name).mkdir()
        downloads.field(120, 100).save(tmp_path / "source" / name / "a.png")
    with pytest.raises(SwclError, match="disc masks/a.png seems to be a mask"):
        folder.read(tmp_path / "source", masks=[tmp_path / "source/vessel masks"])


def test_a_mask_beside_photographs_whose_own_is_missing_is_listed(tmp_path: Path) -> None:
    downloads.write_photograph(tmp_path / "a.png", 1)
    for name in ("a_mask.png", "b_mask.png"):
        downloads.field(120, 100).save(tmp_path / name)
    read = folder.read(tmp_path, masks=[tmp_path])
    assert [row.path for row in read.photographs] == ["a.png"]
    assert [(row.source_path, row.problem) for row in read.problems] == [("b_mask.png", "label without image")]


def test_what_has_two_colours_is_no_photograph(tmp_path: Path) -> None:
    downloads.write_photograph(tmp_path / "source/a.png", 1)
    for item, (mode, colour) in enumerate((("L", "white"), ("RGB", "red"), ("1", "white"))):
        mask = Image.new(mode, (120, 100))
        mask.paste(colour, (20, 20, 90, 80))
        mask.save(tmp_path / f"source/m{item}.png")
    path = prep.run(settings(tmp_path / "work", "folder", tmp_path / "source"))
    assert rows_of(path)["source_path"].tolist() == ["a.png"]
    assert Counter(problem for _, problem in quarantine(tmp_path / "work", "folder")) == {"no photograph": 3}
