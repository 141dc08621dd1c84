"""Names in tables and split files that fit no photograph, or several: what `prep` says, and what it lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swcl_cli.errors import SwclError
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
from swcl_cli.workspace import Workspace
from tests import downloads
from tests.prep_runs import quarantine, rows_of, settings


def write_photographs(folder: Path, *names: str) -> Path:
    for item, name in enumerate(names):
        downloads.write_photograph(folder / name, item)
    return folder


def with_table(tmp_path: Path, source: Path, *names: str, column: str = "abnormal") -> PrepSettings:
    """Settings of `prep folder` with a table that names these photographs."""
    table = tmp_path / "labels.csv"
    downloads.write_csv(table, [["image", column], *([name, number % 2] for number, name in enumerate(names))])
    return settings(tmp_path / "work", "folder", source, labels=table)


def test_a_table_whose_names_fit_no_photograph_shows_both_sides_and_why(tmp_path: Path) -> None:
    source = write_photographs(tmp_path / "source", "0001.jpg", "0002.jpg", "0003.jpg", "0004.jpg")
    with pytest.raises(SwclError) as caught:
        prep.run(with_table(tmp_path, source, "1", "2", "3", "4"))
    listing = Workspace(tmp_path / "work").quarantine("folder")
    assert str(caught.value).splitlines() == [
        f"{source} holds no photograph that a label names; 4 image without label, 4 label without image.",
        "The table names 1, 2, 3, ...; the photographs are 0001.jpg, 0002.jpg, 0003.jpg, ...: leading zeros were lost, "
        f"as in a spreadsheet. What does not fit is listed in {listing}.",
    ]
    assert sorted(quarantine(tmp_path / "work", "folder")) == [
        *((f"000{number}.jpg", "image without label") for number in range(1, 5)),
        *((f"{number}", "label without image") for number in range(1, 5)),
    ]


def test_names_that_partly_fit_are_told_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_photographs(tmp_path / "source", "IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg")
    assert len(rows_of(prep.run(with_table(tmp_path, source, "IMG_1", "img_2", "img_3")))) == 1
    assert (
        "warning: folder: labels without photograph: 2, photographs without label: 2; the case of letters differs."
        in capsys.readouterr().err
    )


def test_a_name_that_fits_two_files_stops_and_is_listed(tmp_path: Path) -> None:
    source = write_photographs(tmp_path / "source", "a.jpg", "a.png", "b.jpg", "b.tif", "c.jpg")
    with pytest.raises(SwclError, match=r"row 2: 'a' fits a\.jpg and a\.png: write the whole .* So do 1 more\. What"):
        prep.run(with_table(tmp_path, source, "a", "b", "c"))
    assert {("a", "label without image"), ("b", "label without image")} <= {*quarantine(tmp_path / "work", "folder")}
    assert len(rows_of(prep.run(with_table(tmp_path, source, "a.jpg", "a.png", "b.jpg", "b.tif", "c")))) == 5


def test_the_list_of_a_set_that_is_prepared_stays(tmp_path: Path) -> None:
    source = write_photographs(tmp_path / "source", "a.jpg", "b.jpg")
    path = prep.run(with_table(tmp_path, source, "a"))
    before = {file: file.read_bytes() for file in (path, Workspace(tmp_path / "work").quarantine("folder"))}
    with pytest.raises(SwclError, match=r"holds no photograph that a label names.*\n.*are a\.jpg, b\.jpg\.$"):
        prep.run(with_table(tmp_path, source, "x"))
    assert {file: file.read_bytes() for file in before} == before


def test_notes_of_macos_beside_a_public_set_are_listed(tmp_path: Path) -> None:
    """Its archives hold a second tree, in which folders have the names of the first."""
    source = downloads.odir_official(tmp_path / "source", {"Training": [1, 2, 3, 4, 5]})
    for name in ("Training Set/Images/1_left.jpg", "Training Set/Annotation/training annotation (English).xlsx"):
        copy = source / "__MACOSX" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(b"\0\5\x16\7")
    (source / "Training Set/Images/._1_left.jpg").write_bytes(b"\0\5\x16\7")
    assert len(rows_of(prep.run(settings(tmp_path / "work", "odir", source)))) == 10
    assert quarantine(tmp_path / "work", "odir") == [
        ("Training Set/Images/._1_left.jpg", "ignored"),
        ("__MACOSX", "ignored"),
    ]


def test_a_public_label_that_fits_two_photographs_stops(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=[1, 2])
    downloads.write_photograph(source / "train/1_left.png", 9)
    with pytest.raises(SwclError, match=r"'1_left' fits train/1_left\.jpeg and train/1_left\.png: write the whole"):
        prep.run(settings(tmp_path / "work", "eyepacs", source))


def test_split_files_name_photographs_by_id_or_path(tmp_path: Path) -> None:
    source = write_photographs(tmp_path / "source", "north/a.jpg", "b.jpg", "c.jpg", "d.1.jpg")
    table = tmp_path / "splits.csv"
    names = ("north/a.jpg", "b", "c.jpg", "d.1")
    downloads.write_csv(table, [["image_id", "split"], *zip(names, ("test", "train", "val", "train"), strict=True)])
    rows = rows_of(prep.run(settings(tmp_path / "work", "folder", source, split_file=table)))
    assert dict(zip(rows["image_id"], rows["split"], strict=True)) == {
        "north_a": "test", "b": "train", "c": "val", "d.1": "train",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("1", "2", "3"), r"row 2, column 'image_id': there is no image '1' with a label in \S+\. "
         r"splits\.csv names 1, 2, 3; the photographs are 001, 002, 003: leading zeros were lost"),
        (("001", "001.jpg", "002"), r"row 3, column 'image_id': '001\.jpg' names 001, which has a split already"),
        (("001", "002"), r"splits\.csv names no split for 1 of 3 images, such as 003"),
    ],
)  # fmt: skip
def test_split_files_that_do_not_fit_stop(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    source = write_photographs(tmp_path / "source", "001.jpg", "002.jpg", "003.jpg")
    downloads.write_csv(tmp_path / "splits.csv", [["image_id", "split"], *([name, "train"] for name in names)])
    with pytest.raises(SwclError, match=message):
        prep.run(settings(tmp_path / "work", "folder", source, split_file=tmp_path / "splits.csv"))


def test_bits_that_were_scaled_are_listed_again_and_again(tmp_path: Path) -> None:
    source = write_photographs(tmp_path / "source", "a.jpg", "b.webp")
    grey = np.asarray(downloads.photograph(2).convert("L"), np.uint16)
    Image.fromarray(grey * np.uint16(16)).save(source / "c.png")
    for _ in range(2):
        path = prep.run(settings(tmp_path / "work", "folder", source))
        assert sorted(rows_of(path)["source_path"]) == ["a.jpg", "b.webp", "c.png"]
        assert quarantine(tmp_path / "work", "folder") == [("c.png", "scaled")]


def test_dicom_is_told_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_photographs(tmp_path / "source", "a.jpg")
    for name in ("b.dcm", "c.DCM"):
        (source / name).write_bytes(b"")
    prep.run(settings(tmp_path / "work", "folder", source))
    assert "warning: folder: files left out: 2, each a DICOM file: convert it first, as" in capsys.readouterr().err
    (source / "a.jpg").unlink()
    with pytest.raises(
        SwclError, match=r"2 image without label\. Files left out: 2, each a DICOM file: convert it first, as"
    ):
        prep.run(settings(tmp_path / "other", "folder", source))
