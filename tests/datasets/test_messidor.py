"""Messidor: tables in either place and format, the errata, and what is dropped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import xlwt
from PIL import Image

from swcl_cli.data import manifest
from swcl_cli.datasets import messidor
from swcl_cli.datasets.download import Problem
from swcl_cli.errors import SwclError
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
from swcl_cli.workspace import read_provenance
from tests import downloads

STEMS = ("20051019_38557_0100_PP", "20051020_43808_0100_PP", "20051020_43832_0100_PP")


def write_xls(path: Path, rows: list[list[object]]) -> None:
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Feuil1")
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            sheet.write(number, column, value)
    workbook.save(str(path))


def test_labels_and_names(tmp_path: Path) -> None:
    source = downloads.messidor(tmp_path, {"Base11": STEMS, "Base34": STEMS[:2]})
    download = messidor.read(source)
    assert [(row.image_id, row.patient_id, *row.labels.values()) for row in download.photographs] == [
        ("Base11_20051019_38557_0100_PP", "Base11_20051019_38557_0100_PP", 0, 0),
        ("Base11_20051020_43808_0100_PP", "Base11_20051020_43808_0100_PP", 1, 1),
        ("Base11_20051020_43832_0100_PP", "Base11_20051020_43832_0100_PP", 2, 2),
        ("Base34_20051019_38557_0100_PP", "Base34_20051019_38557_0100_PP", 3, 0),
        ("Base34_20051020_43808_0100_PP", "Base34_20051020_43808_0100_PP", 0, 1),
    ]
    assert {row.split for row in download.photographs} == {"train"} and not download.draw_validation
    assert download.photographs[3].path == "Base34/20051019_38557_0100_PP.tif"
    assert not download.problems and download.label_files == ["Annotation_Base11.xlsx", "Annotation_Base34.xlsx"]


@pytest.mark.parametrize("name", ["Annotation_Base11.xls", "Base11/Annotation Base11.xls"])
def test_tables_as_the_site_gives_them(tmp_path: Path, name: str) -> None:
    source = downloads.messidor(tmp_path, {"Base11": STEMS})
    (source / "Annotation_Base11.xlsx").unlink()
    rows: list[list[object]] = [[*downloads.MESSIDOR_COLUMNS], *([f"{stem}.tif", "x", 3, 2] for stem in STEMS)]
    write_xls(source / name, rows)
    download = messidor.read(source)
    assert [tuple(row.labels.values()) for row in download.photographs] == [(3, 2)] * 3
    assert not download.problems


def test_errata_are_applied_once_and_listed(tmp_path: Path) -> None:
    stem = "20051020_63936_0100_PP"
    downloads.write_photograph(tmp_path / f"Base11/{stem}.tif", 1)
    for grade, listed in ((3, ["grade 3 is 1 by the published errata"]), (1, [])):
        downloads.write_xlsx(
            tmp_path / "Annotation_Base11.xlsx", [[f"{stem}.tif", "x", grade, 0]], downloads.MESSIDOR_COLUMNS
        )
        download = messidor.read(tmp_path)
        assert download.photographs[0].labels.get("dr_grade") == 1
        assert [problem.detail.partition(": ")[2] for problem in download.problems] == listed


def test_what_does_not_fit_together(tmp_path: Path) -> None:
    source = downloads.messidor(tmp_path, {"Base11": STEMS})
    (source / f"Base11/{STEMS[0]}.tif").rename(source / "Base11/20051021_1_0100_PP.tif")
    assert sorted(messidor.read(source).problems) == [
        Problem(f"Base11/{STEMS[0]}.tif", "label without image", "Annotation_Base11.xlsx, row 2"),
        Problem("Base11/20051021_1_0100_PP.tif", "image without label", ""),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[f"{STEMS[0]}.tif", "x", 4, 0]], r"row 2, column 'Retinopathy grade': 4 is not in 0 to 3"),
        ([[f"{STEMS[0]}.tif", "x", 0, 3]], r"row 2, column 'Risk of macular edema': 3 is not in 0 to 2"),
        ([[f"../{STEMS[0]}.tif", "x", 0, 0]], r"row 2, column 'Image name': '\.\./.*' is not the name of a file"),
        ([[f"{STEMS[0]}.tif", "x", 0, 0]] * 2, r"row 3, column 'Image name': .* stands in row 2 already"),
        ([[f"{STEMS[0]}.tif", "x", 0, 0], [*downloads.MESSIDOR_COLUMNS]], r"row 3: repeats the header of row 1"),
        (None, r"The label file .*Annotation_Base11\.xls is missing; it may lie in Base11 as well"),
    ],
)
def test_bad_labels_stop(tmp_path: Path, rows: list[list[object]] | None, message: str) -> None:
    source = downloads.messidor(tmp_path, {"Base11": STEMS})
    (source / "Annotation_Base11.xlsx").unlink()
    if rows is not None:
        downloads.write_xlsx(source / "Annotation_Base11.xlsx", rows, downloads.MESSIDOR_COLUMNS)
    with pytest.raises(SwclError, match=message):
        messidor.read(source)


def test_the_whole_set_has_1196_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """13 pairs by their pixels, though not by their bytes; two of them disagree, and those four are dropped."""
    source, item = tmp_path / "source", 0
    for base in messidor.BASES:
        stems = [f"2005{base[4:]}_{number:05d}_0100_PP" for number in range(87 if base == "Base33" else 100)]
        rows: list[list[object]] = []
        for stem in stems:
            downloads.write_photograph(source / base / f"{stem}.tif", item, width=64, height=64)
            rows.append([f"{stem}.tif", "x", item % 4, 0])
            item += 1
        if base == "Base33":
            for number in range(13):
                with Image.open(source / base / f"{stems[number]}.tif") as image:
                    image.save(source / base / f"twin{number}.tif", compression="tiff_lzw")
                grade = rows[number][2]
                assert isinstance(grade, int)
                rows.append([f"twin{number}.tif", "x", (grade + (number < 2)) % 4, 0])
        downloads.write_xlsx(source / f"Annotation_{base}.xlsx", rows, downloads.MESSIDOR_COLUMNS)
    path = prep.run(PrepSettings(workspace=tmp_path / "work", dataset="messidor", source=source, size=64, workers=1))
    assert read_provenance(path)["counts"] == {"train": 1196, "dropped": 4, "duplicate": 11}
    assert capsys.readouterr().err == ""
    frame = manifest.read(path)
    assert frame["group_id"].nunique() == 1196 - 11
    before = path.read_bytes()
    shutil.rmtree(tmp_path / "work")
    prep.run(PrepSettings(workspace=tmp_path / "work", dataset="messidor", source=source, size=64, workers=0))
    assert path.read_bytes() == before
