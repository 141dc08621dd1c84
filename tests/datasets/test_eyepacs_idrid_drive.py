"""EyePACS, IDRiD and DRIVE: layouts, labels, and what does not fit together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from swcl_cli.datasets import drive, eyepacs, idrid
from swcl_cli.datasets.download import Download, Problem
from swcl_cli.errors import SwclError
from tests import downloads


def problems(download: Download) -> list[tuple[str, str]]:
    return sorted((problem.source_path, problem.problem) for problem in download.problems)


def test_eyepacs_any_subset(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path, train=[10, 13], test=[1])
    (source / "train/13_left.jpeg").unlink()
    downloads.write_photograph(source / "test/99_left.jpeg", 99)
    download = eyepacs.read(source)
    assert [
        (row.image_id, row.patient_id, row.eye, row.split, row.labels.get("dr_grade")) for row in download.photographs
    ] == [
        ("10_left", "10", "left", "train", 0),
        ("10_right", "10", "right", "train", 0),
        ("13_right", "13", "right", "train", 3),
        ("1_left", "1", "left", "test", 1),
        ("1_right", "1", "right", "test", 1),
    ]
    assert {row.labels.get("abnormal") for row in download.photographs} == {None}
    assert problems(download) == [
        ("test/99_left.jpeg", "image without label"),
        ("train/13_left.jpeg", "label without image"),
    ]
    assert not download.draw_validation and download.labelled == {"train": 3, "test": 2}


def test_eyepacs_train_alone(tmp_path: Path) -> None:
    download = eyepacs.read(downloads.eyepacs(tmp_path, train=[10]))
    assert download.label_files == ["trainLabels.csv"] and not download.problems


def nest(folder: Path) -> None:
    """Put what a folder holds into a folder of its name inside, as archives that are unpacked into such a folder."""
    folder.rename(folder.with_name("moved"))
    folder.mkdir()
    folder.with_name("moved").rename(folder / folder.name)


def test_nested_folders_of_one_name_are_seen_through(tmp_path: Path) -> None:
    plain = downloads.eyepacs(tmp_path / "plain", train=[10], test=[1])
    expected = [photograph.image_id for photograph in eyepacs.read(plain).photographs]
    for folder in ("train", "test"):
        nest(plain / folder)
    download = eyepacs.read(plain)
    assert [photograph.image_id for photograph in download.photographs] == expected and not download.problems
    assert download.photographs[0].path == "train/train/10_left.jpeg"
    above = eyepacs.read(tmp_path)
    assert above.photographs[0].path == "plain/train/train/10_left.jpeg" and len(above.photographs) == len(expected)

    vessels = downloads.drive(tmp_path / "drive", train=2, test=1)
    nest(vessels / "training/images")
    nest(vessels / "training/mask")
    assert [photograph.fov for photograph in drive.read(vessels).photographs[:2]] == [
        "training/mask/mask/21_training_mask.gif", "training/mask/mask/22_training_mask.gif"]  # fmt: skip

    graded = downloads.idrid(tmp_path / "idrid", train=1, test=1)
    nest(graded / "B. Disease Grading")
    nest(graded / "B. Disease Grading/B. Disease Grading/1. Original Images/b. Testing Set")
    assert len(idrid.read(graded).photographs) == 2


def test_a_folder_of_the_same_name_beside_images_is_listed(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path, train=[10])
    downloads.write_photograph(source / "train/train/10_left.jpeg", 3)
    download = eyepacs.read(source)
    assert [photograph.path for photograph in download.photographs] == ["train/10_left.jpeg", "train/10_right.jpeg"]
    assert problems(download) == [("train/train", "image without label")]


def test_one_part_alone(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path / "eyepacs", train=[10], test=[1])
    (source / "retinopathy_solution.csv").unlink()
    download = eyepacs.read(source)
    assert {photograph.split for photograph in download.photographs} == {"train"}
    assert problems(download) == [(f"test/1_{eye}.jpeg", "image without label") for eye in ("left", "right")]
    assert download.remarks == ["retinopathy_solution.csv is missing: the photographs of test are left out."]

    for number, (split, letter) in enumerate((("train", "b"), ("test", "a"))):
        source = downloads.idrid(tmp_path / f"idrid{number}", train=1, test=2)
        for path in list(source.rglob(f"{letter}. *")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        alone = idrid.read(source)
        assert {photograph.split for photograph in alone.photographs} == {split} and not alone.problems


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("image,level\n10_left,7\n", r"trainLabels\.csv, row 2, column 'level': 7 is not in 0 to 4"),
        ("image,level\n10_middle,0\n", r"row 2, column 'image': '10_middle' is not of the form 10_left"),
        ("image,level\n../10_left,0\n", r"row 2, column 'image': '\.\./10_left' is not the name of a file"),
        ("image,level\n10_left,0\n10_left,0\n", r"row 3, column 'image': '10_left' stands in row 2 already"),
        (None, r"The label file .*trainLabels\.csv is missing"),
    ],
)
def test_eyepacs_bad_labels_stop(tmp_path: Path, labels: str | None, message: str) -> None:
    source = downloads.eyepacs(tmp_path, train=[10])
    (source / "trainLabels.csv").unlink()
    if labels is not None:
        (source / "trainLabels.csv").write_text(labels)
    with pytest.raises(SwclError, match=message):
        eyepacs.read(source)


def test_eyepacs_image_in_both_parts_stops(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match=r"retinopathy_solution\.csv.*'10_left' stands in trainLabels\.csv already"):
        eyepacs.read(downloads.eyepacs(tmp_path, train=[10], test=[10]))


def test_idrid_from_either_folder(tmp_path: Path) -> None:
    source = downloads.idrid(tmp_path, train=3, test=2)
    above, inside = idrid.read(source), idrid.read(source / "B. Disease Grading")
    assert [row.image_id for row in above.photographs] == [row.image_id for row in inside.photographs]
    assert [(row.image_id, row.split, *row.labels.values()) for row in above.photographs] == [
        ("train_IDRiD_001", "train", 1, 1),
        ("train_IDRiD_002", "train", 2, 2),
        ("train_IDRiD_003", "train", 3, 0),
        ("test_IDRiD_001", "test", 1, 1),
        ("test_IDRiD_002", "test", 2, 2),
    ]
    assert above.draw_validation and not above.problems
    assert above.photographs[0].path == "B. Disease Grading/1. Original Images/a. Training Set/IDRiD_001.jpg"


def test_idrid_bad_grade_stops(tmp_path: Path) -> None:
    source = downloads.idrid(tmp_path, train=1, test=1)
    labels = source / "B. Disease Grading/2. Groundtruths/b. IDRiD_Disease Grading_Testing Labels.csv"
    labels.write_text("Image name,Retinopathy grade,Risk of macular edema \nIDRiD_001,1,3\n")
    with pytest.raises(
        SwclError, match=r"Testing Labels\.csv, row 2, column 'Risk of macular edema': 3 is not in 0 to 2"
    ):
        idrid.read(source)


def test_drive_masks_and_fields_of_view(tmp_path: Path) -> None:
    source = downloads.drive(tmp_path / "DRIVE", train=2, test=1)
    for download in (drive.read(source), drive.read(tmp_path)):
        assert [(row.image_id, row.patient_id, row.split) for row in download.photographs] == [
            ("21_training", "21", "train"),
            ("22_training", "22", "train"),
            ("01_test", "01", "test"),
        ]
        assert not download.problems and download.draw_validation
    first = drive.read(source).photographs[0]
    assert (first.mask, first.fov) == ("training/1st_manual/21_manual1.gif", "training/mask/21_training_mask.gif")


def test_drive_without_the_test_vessels(tmp_path: Path) -> None:
    download = drive.read(downloads.drive(tmp_path, train=2, test=1, test_vessels=False))
    assert [row.mask is None for row in download.photographs] == [False, False, True]
    assert problems(download) == [("test/images/01_test.tif", "no mask")]


def test_drive_what_does_not_fit_together(tmp_path: Path) -> None:
    source = downloads.drive(tmp_path, train=3, test=1)
    (source / "training/1st_manual/21_manual1.gif").unlink()
    (source / "training/images/22_training.tif").unlink()
    (source / "test/mask/01_test_mask.gif").unlink()
    download = drive.read(source)
    assert [row.image_id for row in download.photographs] == ["23_training", "01_test"]
    assert problems(download) == [
        ("test/images/01_test.tif", "no mask"),
        ("training/1st_manual/22_manual1.gif", "label without image"),
        ("training/images/21_training.tif", "image without label"),
        ("training/mask/22_training_mask.gif", "label without image"),
    ]


@pytest.mark.parametrize("read", [eyepacs.read, idrid.read, drive.read])
def test_wrong_folder_says_what_was_looked_for(tmp_path: Path, read: Callable[[Path], Download]) -> None:
    with pytest.raises(SwclError, match=r"does not look like a download of .*\nLooked for: "):
        read(tmp_path)


def test_links_out_of_the_source_are_refused(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=[10])
    outside = tmp_path / "10_left.jpeg"
    (source / "train/10_left.jpeg").rename(outside)
    (source / "train/10_left.jpeg").symlink_to(outside)
    download = eyepacs.read(source)
    assert [row.image_id for row in download.photographs] == ["10_right"]
    assert Problem("train/10_left.jpeg", "refused", "a link that leads out of the source") in download.problems

    (source / "train").rename(tmp_path / "train")
    (source / "train").symlink_to(tmp_path / "train")
    with pytest.raises(SwclError, match="is a link that leads out of"):
        eyepacs.read(source)


def test_links_within_the_source_are_followed(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=[10])
    (source / "store").mkdir()
    (source / "train/10_left.jpeg").rename(source / "store/first.jpeg")
    (source / "train/10_left.jpeg").symlink_to("../store/first.jpeg")
    assert len(eyepacs.read(source).photographs) == 2


def test_names_that_are_not_utf8_are_listed(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path, train=[10])
    (source / "train/10_left.jpeg").rename(source / "train" / os.fsdecode(b"10_left\xff.jpeg"))
    assert ("train/10_left\\xff.jpeg", "refused") in problems(eyepacs.read(source))
