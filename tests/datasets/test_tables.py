"""The label-file reader: what may differ, and what stops."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from swcl_cli.datasets.tables import read_table, require_unique
from swcl_cli.errors import SwclError

COLUMNS = ("image", "level")
PLAIN = "image,level\n10_left,0\n10_right,3\n"


def cells(path: Path) -> list[dict[str, str]]:
    return [row.cells for row in read_table(path, COLUMNS)]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", ",,,\n"),
        PLAIN.rstrip("\n"),
        " Image , level  \n 10_left , 0 \n10_right,3\n",
        "level,other,image\n0,x,10_left\n3,,10_right\n",
        "image,level\n\n10_left,0\n,,\n10_right,3\n\n",
        'image,level\n"10_left","0"\n"10_right",3\n',
    ],
)
def test_same_table_however_it_is_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_bytes(text.encode())
    assert cells(tmp_path / "labels.csv") == [{"image": "10_left", "level": "0"}, {"image": "10_right", "level": "3"}]


def test_excel_reads_as_csv_does(tmp_path: Path) -> None:
    frame = pd.DataFrame({" Level": [0, 3, None], "image": ["10_left", "10_right", "NA"], "rest": [0.5, None, ""]})
    frame.to_excel(tmp_path / "labels.xlsx", index=False)
    assert cells(tmp_path / "labels.xlsx") == [
        {"image": "10_left", "level": "0"},
        {"image": "10_right", "level": "3"},
        {"image": "NA", "level": ""},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,grade\n10_left,0\n", r"labels\.csv, row 1: column 'level' is missing; there are 'image', 'grade'"),
        ("image,level,level\n10_left,0,1\n", r"labels\.csv, row 1: column 'level' is there more than once"),
        ("image,level\n10_left,0\nimage,level\n", r"labels\.csv, row 3: repeats the header of row 1"),
        ("image,level\n10_left,0,1\n", r"labels\.csv, row 2: has 3 cells, but the header has 2"),
        ("image,level\n", r"labels\.csv has no rows below its header"),
        ("", r"labels\.csv, row 1: column 'image' is missing; there are none"),
        (b"image,level\n\xff\xfe,0\n", r"labels\.csv is not a table in UTF-8"),
    ],
)
def test_bad_tables_stop(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SwclError, match=message):
        cells(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("5", "5 is not in 0 to 4"),
        ("-1", "-1 is not in 0 to 4"),
        ("1.5", r"'1\.5' is not a whole number"),
        ("nan", "'nan' is not a whole number"),
        ("two", "'two' is not a whole number"),
        ("", "is empty"),
    ],
)
def test_bad_grades_name_file_row_and_column(tmp_path: Path, cell: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(f"image,level\n10_left,0\n10_right,{cell}\n")
    good, bad = read_table(tmp_path / "labels.csv", COLUMNS)
    assert good.integer("level", 0, 4) == 0
    with pytest.raises(SwclError, match=rf"labels\.csv, row 3, column 'level': {message}"):
        bad.integer("level", 0, 4)


@pytest.mark.parametrize("name", ["../10_left", "/etc/passwd", "a/b", "..", ".hidden", r"..\10_left", "a\tb"])
def test_names_that_lead_elsewhere_stop(tmp_path: Path, name: str) -> None:
    (tmp_path / "labels.csv").write_text(f"image,level\n{name},0\n")
    with pytest.raises(SwclError, match=r"row 2, column 'image': .* is not the name of a file"):
        next(iter(read_table(tmp_path / "labels.csv", COLUMNS))).name("image")


def test_repeated_id_names_both_rows(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,level\n10_left,0\n10_right,3\n10_left,0\n")
    with pytest.raises(SwclError, match=r"row 4, column 'image': '10_left' stands in row 2 already"):
        require_unique(read_table(tmp_path / "labels.csv", COLUMNS), "image")
