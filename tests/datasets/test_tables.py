"""The label-file reader: what may differ, and what stops."""

from __future__ import annotations

import os
from pathlib import Path
from zipfile import ZipFile

import openpyxl
import pandas as pd
import pytest
import xlwt

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
        PLAIN.replace("\n", "\r"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        "image;level;note\n10_left;0;a, b\n10_right;3;1,5\n",
        "sep=;\n" + PLAIN.replace(",", ";"),
        '"sep=,"\r\n' + PLAIN,
        "SEP=\t\r" + PLAIN.replace(",", "\t").replace("\n", "\r"),
        "\ufeffsep=;\n" + PLAIN.replace(",", ";"),
        PLAIN.encode("utf-16"),
        PLAIN.replace(",", "\t").encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
    ],
)
def test_same_table_however_it_is_written(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
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
        (
            b"image,level\n\x81,0\n",
            r"labels\.csv, row 2: is not a table in UTF-8, UTF-16 or Windows-1252 \('\\x81,0'\)",
        ),
        (b"image,level\n\xd0\xb0\xe0\xe1\xe2,0\n", r"row 2: is not a table in UTF-8, UTF-16 or Windows-1252"),
        ("image,level\nM\u00fc,0\n".encode() + b"M\xfc,0\n", r"row 3: is not a table .*Save it as UTF-8\.$"),
        ('image,level\n10_left,0\n"10_right,3\n11_left,1\n', r"row 3: the quotation mark before '10_right,3\\n11_left"),
        ('image,level\n10_left,0\n10_right,"3', r"row 3: the quotation mark before '3.*' is never closed"),
        ('image,level\n"10_left,0\n10_right",3\n', r"row 2, column 'image': '10_left,0\\n10_right' goes over several"),
        (f"image,level\n10_left,0\n{'x' * 200_000},1\n", r"row 3: a cell is longer than 131,072 characters: is a quot"),
        (f"image,level\n{'x' * 100},y\n{'x' * 100},y\n", r"row 3, column 'image': 'x{60}\.\.\.' stands in row 2"),
        ("\n\nimage;grade\n10_left;0\n", r"row 3: column 'level' is missing; there are 'image', 'grade'"),
    ],
)
def test_bad_tables_stop(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SwclError, match=message):
        require_unique(read_table(tmp_path / "labels.csv", COLUMNS), "image")


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


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("form", ["M\u00fcller", "Mu\u0308ller"])
def test_names_are_composed_whatever_the_encoding(tmp_path: Path, encoding: str, form: str) -> None:
    if encoding == "cp1252":
        form = "M\u00fcller"
    (tmp_path / "labels.csv").write_bytes(f"image,level\n{form},0\n".encode(encoding))
    table = read_table(tmp_path / "labels.csv", COLUMNS)
    assert [row.text("image") for row in table] == ["M\u00fcller"]
    assert table.remarks == (["it is not in UTF-8, and was read as Windows-1252"] if encoding == "cp1252" else [])


@pytest.mark.parametrize(
    ("cell", "value"),
    [("2", 2), ("+2", 2), ("2.", 2), ("2.0", 2), ("2.000", 2), ("2,0", 2), ("2,000", None), ("2,5", None),
     ("2e0", None), ("7" * 5000, None), ("0" * 17 + "3", 3)],
)  # fmt: skip
def test_whole_numbers(tmp_path: Path, cell: str, value: int | None) -> None:
    (tmp_path / "labels.csv").write_text(f"image;level\n10_left;{cell}\n")
    row = next(iter(read_table(tmp_path / "labels.csv", COLUMNS)))
    if value is not None:
        assert row.integer("level", 0, 4) == value
        return
    with pytest.raises(
        SwclError, match=r"row 2, column 'level': '?[\d,.e]{,60}(\.\.\.)?'? is not (a whole number|in 0 to 4)"
    ):
        row.integer("level", 0, 4)


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", True), ("0.0", False), ("TRUE", True), ("False", False), ("WAHR", True), ("faux", False), ("yes", None),
     ("maybe", None), ("2", None)],
)  # fmt: skip
def test_truth_as_spreadsheets_write_it(tmp_path: Path, cell: str, value: bool | None) -> None:
    (tmp_path / "labels.csv").write_text(f"image,level\n10_left,{cell}\n")
    row = next(iter(read_table(tmp_path / "labels.csv", COLUMNS)))
    if value is not None:
        assert row.truth("level") is value
        return
    with pytest.raises(SwclError, match=rf"row 2, column 'level': '?{cell}'? is not"):
        row.truth("level")


def test_cells_that_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,level\na,\nb,NA\nc,n/a\nd,-\ne,NaN\nf,#N/A\ng,0\n")
    rows = list(read_table(tmp_path / "labels.csv", COLUMNS))
    assert [row.optional("level") for row in rows] == [None] * 6 + ["0"]
    assert rows[0].optional("absent") is None


def test_columns_without_use_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(",Image,Level,Camera  No,,empty\n0,10_left,0,x,,\n1,10_right,3,y,z,\n")
    remarks: list[str] = []
    read_table(tmp_path / "labels.csv", COLUMNS).remark(remarks)
    unused = "number 1, without a name, 'Camera  No', number 5, without a name, 'empty'"
    assert remarks == [f"labels.csv: columns that are not used: {unused}."]


def workbook(path: Path, **sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


LABELS: list[list[object]] = [["image", "level"], ["10_left", 0], ["10_right", 3]]


def test_the_sheet_that_has_the_columns_is_read(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", Notes=[["how it was graded"]], Labels=LABELS, Empty=[])
    table = read_table(path, COLUMNS)
    assert [row.text("level") for row in table] == ["0", "3"]
    assert table.remarks == ["its sheet 'Labels' was read, not 'Notes'"]
    with pytest.raises(SwclError, match=r"b\.xlsx: the sheets '2019' and '2020' both have these columns\. Keep one"):
        read_table(workbook(tmp_path / "b.xlsx", **{"2019": LABELS, "2020": LABELS}), COLUMNS)
    with pytest.raises(SwclError, match=r"c\.xlsx, row 1: column 'image' is missing; there are 'notes'"):
        read_table(workbook(tmp_path / "c.xlsx", Notes=[["Notes"]]), COLUMNS)
    with pytest.raises(SwclError, match=r"d\.xlsx, row 1: column 'image' is missing; there are none"):
        read_table(workbook(tmp_path / "d.xlsx", Empty=[]), COLUMNS)


def test_a_workbook_is_known_by_its_content(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", Labels=LABELS).rename(tmp_path / "a.csv")
    assert len(read_table(tmp_path / "a.csv", COLUMNS)) == 2
    (tmp_path / "b.xlsx").write_text(PLAIN)
    with ZipFile(tmp_path / "c.xlsx", "w") as archive:
        archive.writestr("photographs/a.jpg", b"x")
    (tmp_path / "d.xlsx").write_bytes((tmp_path / "a.csv").read_bytes()[:1000])
    for name, message in (
        ("b", "can't be read as an Excel table"),
        ("c", r"is no \.xlsx file inside: save it as \.xlsx or \.csv"),
        ("d", "can't be read as an Excel table"),
    ):
        with pytest.raises(SwclError, match=rf"{name}\.xlsx {message}"):
            read_table(tmp_path / f"{name}.xlsx", COLUMNS)


def test_a_cell_far_away_is_named(tmp_path: Path) -> None:
    """A reader that makes room for all cells before it asks for memory until the process ends."""
    book = openpyxl.Workbook()
    for row in LABELS:
        book.worksheets[0].append(row)
    book.worksheets[0]["XFD1048576"] = 1
    book.save(tmp_path / "labels.xlsx")
    with pytest.raises(
        SwclError, match=r"labels\.xlsx: a cell stands as far out as row 1,048,576, column 16,384\. Del"
    ):
        read_table(tmp_path / "labels.xlsx", COLUMNS)
    old = xlwt.Workbook()
    old.add_sheet("Labels").write(65535, 255, 1)
    old.save(tmp_path / "labels.xls")
    with pytest.raises(SwclError, match=r"labels\.xls: a cell stands as far out as row 65,536, column 256"):
        read_table(tmp_path / "labels.xls", COLUMNS)


def test_only_regular_files_of_a_size_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "labels.csv").write_text(PLAIN)
    (tmp_path / "linked.csv").symlink_to("labels.csv")
    assert len(read_table(tmp_path / "linked.csv", COLUMNS)) == 2
    for name in ("pipe", "folder"):
        with pytest.raises(SwclError, match=rf"{name}\.csv is not a regular file"):
            read_table(tmp_path / f"{name}.csv", COLUMNS)
    with pytest.raises(SwclError, match=r"null is not a regular file"):
        read_table(Path("/dev/null"), COLUMNS)
    with pytest.raises(SwclError, match=r"loop\.csv can't be read: Too many levels of symbolic links"):
        read_table(tmp_path / "loop.csv", COLUMNS)
    with open(tmp_path / "huge.csv", "wb") as handle:
        handle.truncate(2**40)
    with pytest.raises(SwclError, match=r"huge\.csv has 1,099,511,627,776 bytes: a table has 100,000,000 at most"):
        read_table(tmp_path / "huge.csv", COLUMNS)


def test_rows_that_end_early_are_told(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,age,note,\na,1,x\nb,2\nc;3;y\nd,4,\n")
    table = read_table(path, ("image", "age"))
    assert table.columns["age"] == ["1", "2", "", "4"]
    assert table.remarks == ["rows with fewer cells than the header: 2, such as row 3; the rest counts as empty"]


def test_formulas_without_their_values_are_told(tmp_path: Path) -> None:
    """As openpyxl saves them; a program that computes them saves both."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (("image", "level", "patient"), ("10_left", "=1+2", ""), ("10_right", 3, ""), ("11_left", "=B2", "NA")):
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    table = read_table(tmp_path / "a.xlsx", ("image",), ("level", "patient", "eye"))
    assert table.columns["level"] == ["", "3", ""]
    assert table.remarks == [
        "formulas that were saved without their values: 2, which count as empty; open it in a spreadsheet program and "
        "save it there",
        "columns in which no row has a value: 'patient'",
    ]
    with ZipFile(tmp_path / "a.xlsx") as given, ZipFile(tmp_path / "b.xlsx", "w") as computed:
        for name in given.namelist():
            computed.writestr(
                name, given.read(name).replace(b"</f><v />", b"</f><v>3</v>").replace(b"</f><v/>", b"</f><v>3</v>")
            )
    table = read_table(tmp_path / "b.xlsx", ("image",), ("level",))
    assert table.columns["level"] == ["3", "3", "3"] and table.remarks == []
