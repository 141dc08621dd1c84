"""Which files a name means, and why names fit none."""

from __future__ import annotations

import pytest

from swcl_cli.datasets.names import Names, is_image, likely_reason, mismatch, stem_of

FILES = ("P1.jpg", "P1.1.jpg", "im1.ah.ppm.gz", "e.jpg", "e.png", "north/A.JPG", "a.jpg.png", "M\u00fcller.tif")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("P1.jpg", "P1"),
        ("P1.JPEG", "P1"),
        ("P1.3", "P1.3"),
        ("P1.2019.tif", "P1.2019"),
        ("im1.ah.ppm.gz", "im1.ah"),
        ("im1.PPM.GZ", "im1"),
        ("notes.txt", "notes.txt"),
        ("photos.tar.gz", "photos.tar.gz"),
        ("north/1.5/a.bmp", "north/1.5/a"),
        ("scan.dcm", "scan"),
        (".jpg", ".jpg"),
        ("Mu\u0308ller.png", "M\u00fcller"),
    ],
)
def test_stems(name: str, stem: str) -> None:
    assert stem_of(name) == stem


def test_what_is_an_image() -> None:
    assert all(map(is_image, FILES))
    assert not any(map(is_image, ("a.dcm", "a.txt", "a", "a.gz", "a.tar.gz", "jpg")))


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("P1", ["P1.jpg"]),
        ("P1.png", ["P1.jpg"]),
        ("P1.1", ["P1.1.jpg"]),
        ("P1.3", []),
        ("p1", []),
        ("im1.ah", ["im1.ah.ppm.gz"]),
        ("im1", []),
        ("e", ["e.jpg", "e.png"]),
        ("e.png", ["e.png"]),
        ("e.tif", ["e.jpg", "e.png"]),
        ("north/A", ["north/A.JPG"]),
        ("A.JPG", []),
        ("a.jpg", ["a.jpg.png"]),
        ("Mu\u0308ller", ["M\u00fcller.tif"]),
    ],
)
def test_files_that_a_name_means(name: str, files: list[str]) -> None:
    assert Names(FILES).fitting(name) == files


def test_files_that_differ_in_their_unicode_form_alone() -> None:
    names = Names(["M\u00fcller.tif", "Mu\u0308ller.tif"])
    assert names.fitting("Mu\u0308ller.tif") == ["Mu\u0308ller.tif"]
    assert len(names.fitting("M\u00fcller")) == 2


def test_a_removed_file_is_not_handed_out_again() -> None:
    names = Names(FILES)
    for name in ("e.jpg", "P1.jpg"):
        names.remove(name)
    assert sorted(names) == sorted({*FILES} - {"e.jpg", "P1.jpg"})
    assert names.fitting("e") == ["e.png"] and names.fitting("P1") == []


@pytest.mark.parametrize(
    ("names", "files", "reason"),
    [
        (["img_1.jpg"], ["IMG_1.JPG"], "the case of letters differs"),
        (["photos/1.jpg"], ["1.jpg"], "the folders before the names differ"),
        (["C:\\data\\1.jpg"], ["1.jpg"], "the folders before the names differ"),
        (["7", "12"], ["0007.jpg", "0012.jpg"], "leading zeros were lost, as in a spreadsheet"),
        (["7.0"], ["0007.jpg"], "leading zeros were lost, as in a spreadsheet"),
        (["P1 L"], ["P1_L.png"], "spaces or marks between the parts differ"),
        (["eyes/img_7"], ["IMG_007.jpg"], "the case of letters differs, and the folders before the names differ, and "
         "leading zeros were lost, as in a spreadsheet"),
        (["2026-03-01 00:00:00"], ["1-3.jpg"], "a spreadsheet made dates of the names"),
        (["1-Mar", "2-Mar"], ["1-3.jpg", "2-3.jpg"], "a spreadsheet made dates of the names"),
        (["M\u00e4r 01"], ["3-1.jpg"], "a spreadsheet made dates of the names"),
        (["01.03.2026"], ["1-3.jpg"], "a spreadsheet made dates of the names"),
        (["1.23E+11"], ["123456789012.jpg"], "a spreadsheet rounded the names as numbers"),
        (["A"], ["B.jpg"], ""),
    ],
)  # fmt: skip
def test_why_names_fit_no_file(names: list[str], files: list[str], reason: str) -> None:
    assert likely_reason(names, files) == reason


def test_a_mismatch_shows_three_of_each() -> None:
    assert mismatch(["4", "3", "2", "1"], ["01.jpg", "02.jpg"], "a.csv") == (
        "a.csv names 1, 2, 3, ...; the photographs are 01.jpg, 02.jpg: leading zeros were lost, as in a spreadsheet"
    )
    assert mismatch(["x" * 100], ["a.jpg"]) == f"The table names {'x' * 60}...; the photographs are a.jpg"
