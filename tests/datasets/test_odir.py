"""OIA-ODIR: both packagings, keywords (FACTS A2), the anterior-segment rule (FACTS A3), and damaged labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from swcl_cli.datasets import odir
from swcl_cli.datasets.download import Problem
from swcl_cli.errors import SwclError
from tests import downloads

COMMA = "\uff0c"
NORMAL = "normal fundus"


@pytest.mark.parametrize(
    ("cell", "abnormal"),
    [
        (NORMAL, False),
        (" Normal  fundus ", False),
        ("lens dust", False),
        (f"lens dust{COMMA}{NORMAL}", False),
        (f"lens dust,{NORMAL}", False),
        (f"drusen{COMMA}{NORMAL}", False),
        ("drusen", True),
        (f"lens dust{COMMA}drusen", True),
        (f"lens dust, drusen{COMMA}", True),
        ("low image quality", True),
        ("image offset", True),
        ("no fundus image", True),
        ("suspected abnormal fundus", True),
        ("abnormal fundus", True),
        ("normal fundus of the eye", False),
        (f"drusen{COMMA}mostly normal  fundus", False),
        ("drusen (normal fundus before)", False),
        (f"abnormal fundus{COMMA}{NORMAL}", False),
        ("normal", True),
        (f"normal{COMMA}fundus", True),
    ],
)
def test_keyword_rule(cell: str, abnormal: bool) -> None:
    assert odir.is_abnormal(odir.keywords_of(cell)) is abnormal


@pytest.mark.parametrize(
    ("cell", "abnormal"),
    [
        (NORMAL, False),
        ("drusen", True),
        (f"lens dust{COMMA}{NORMAL}", False),
        (f"low image quality{COMMA}drusen", True),
        ("lens dust", None),
        ("low image quality", None),
        (f"image offset{COMMA}lens dust", None),
        ("no fundus image", None),
        ("optic disk photographically invisible", None),
        ("suspected abnormal fundus", True),
        ("nearly normal fundus", False),
        (f"low image quality{COMMA}nearly normal fundus{COMMA}drusen", False),
    ],
)
def test_clean_keyword_rule(tmp_path: Path, cell: str, abnormal: bool | None) -> None:
    """Words of the photograph alone don't count; None: the eye is left out."""
    source = downloads.odir_kaggle(tmp_path, {1: (cell, NORMAL)})
    download = odir.read(source, "clean")
    assert {row.image_id: row.labels.get("abnormal") for row in download.photographs} == {
        **({} if abnormal is None else {"1_left": abnormal}),
        "1_right": False,
    }
    assert [problem.problem for problem in download.problems] == ([] if abnormal is not None else ["dropped"])
    assert download.labelled == {"train": 2}


def test_released_keyword_rule_of_whole_cells(tmp_path: Path) -> None:
    words = {1: ("Nearly Normal Fundus", "abnormal fundus"), 2: (f"drusen{COMMA}a normal fundus", "lens dust")}
    download = odir.read(downloads.odir_kaggle(tmp_path, words), "released")
    abnormal = {row.image_id: row.labels.get("abnormal") for row in download.photographs}
    assert abnormal == {"1_left": False, "1_right": True, "2_left": False, "2_right": False}


def test_kaggle_packaging(tmp_path: Path) -> None:
    words = {1: (NORMAL, f"drusen{COMMA}lens dust"), 2: ("lens dust", "cataract")}
    download = odir.read(downloads.odir_kaggle(tmp_path, words))
    assert [(row.image_id, row.patient_id, row.eye, row.labels.get("abnormal")) for row in download.photographs] == [
        ("1_left", "1", "left", False),
        ("1_right", "1", "right", True),
        ("2_left", "2", "left", False),
        ("2_right", "2", "right", True),
    ]
    second = download.photographs[1]
    assert (second.labels.get("keywords"), second.labels.get("age"), second.labels.get("sex"), second.split) == (
        "drusen,lens dust",
        41,
        "male",
        "train",
    )
    assert second.path == "preprocessed_images/1_right.jpg"
    assert download.draw_validation and download.labelled == {"train": 4} and not download.problems
    assert download.label_files == ["ODIR-5K/data.xlsx"]


def test_full_df_gives_the_same_photographs(tmp_path: Path) -> None:
    words = {1: (NORMAL, f"drusen{COMMA}lens dust"), 2: ("lens dust", "cataract")}
    expected = odir.read(downloads.odir_kaggle(tmp_path, words)).photographs
    (tmp_path / "ODIR-5K/data.xlsx").unlink()
    rows = [
        [*downloads.odir_row(patient, *words[patient]), f"{patient}_{eye}.jpg"]
        for patient, eye in ((2, "right"), (1, "left"), (1, "right"))
    ]
    downloads.write_csv(tmp_path / "full_df.csv", [[*downloads.ODIR_COLUMNS, "filename"], *rows])
    assert sorted(odir.read(tmp_path).photographs, key=lambda row: row.image_id) == expected

    rows[-1][1] = 99
    downloads.write_csv(tmp_path / "full_df.csv", [[*downloads.ODIR_COLUMNS, "filename"], *rows])
    with pytest.raises(SwclError, match=r"full_df\.csv, row 4, column 'Patient Age': '99' contradicts row 3"):
        odir.read(tmp_path)


def test_full_size_photographs_are_preferred(tmp_path: Path) -> None:
    source = downloads.odir_kaggle(tmp_path, {1: (NORMAL, NORMAL)})
    downloads.write_photograph(source / "ODIR-5K/Training Images/1_left.jpg", 1)
    download = odir.read(source)
    assert [row.path for row in download.photographs] == ["ODIR-5K/Training Images/1_left.jpg"]


def test_official_layout_has_its_own_splits(tmp_path: Path) -> None:
    source = downloads.odir_official(tmp_path, {"Training": [1, 2, 3], "Off-site Test": [4], "On-site Test": [5, 6]})
    download = odir.read(source)
    assert Counter(row.split for row in download.photographs) == {"train": 6, "val": 2, "test": 4}
    assert not download.draw_validation and len(download.label_files) == 3
    assert odir.read(downloads.odir_official(tmp_path / "part", {"Training": [1]})).draw_validation


def test_patient_in_two_parts_stops(tmp_path: Path) -> None:
    downloads.odir_official(tmp_path, {"Training": [1, 2], "On-site Test": [2]})
    with pytest.raises(SwclError, match=r"on-site test annotation \(English\)\.xlsx, row 2, column 'ID': patient 2"):
        odir.read(tmp_path)


def test_anterior_segment_drops_the_patient(tmp_path: Path) -> None:
    words = {1: (NORMAL, "anterior segment image"), 2: ("glial remnants anterior to the optic disc", NORMAL)}
    download = odir.read(downloads.odir_kaggle(tmp_path, words))
    assert {row.patient_id for row in download.photographs} == {"2"}
    assert [(problem.source_path, problem.problem) for problem in download.problems] == [
        ("preprocessed_images/1_left.jpg", "dropped"),
        ("preprocessed_images/1_right.jpg", "dropped"),
    ]
    assert download.labelled == {"train": 4}


def test_what_does_not_fit_together_is_listed(tmp_path: Path) -> None:
    source = downloads.odir_kaggle(tmp_path, {1: (NORMAL, NORMAL), 2: (NORMAL, NORMAL)})
    (source / "preprocessed_images/2_left.jpg").unlink()
    downloads.write_photograph(source / "preprocessed_images/7_left.jpg", 7)
    (source / "preprocessed_images/Thumbs.db").write_bytes(b"x")
    (source / "preprocessed_images/.hidden.jpg").write_bytes(b"x")
    download = odir.read(source)
    assert len(download.photographs) == 3
    assert sorted(download.problems) == [
        Problem("preprocessed_images/.hidden.jpg", "ignored", "hidden"),
        Problem("preprocessed_images/2_left.jpg", "label without image", "data.xlsx, row 3"),
        Problem("preprocessed_images/7_left.jpg", "image without label", ""),
        Problem("preprocessed_images/Thumbs.db", "image without label", "not an image by its name"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ID": 1}, r"data\.xlsx, row 3, column 'ID': '1' stands in row 2 already"),
        ({"ID": "x"}, r"row 3, column 'ID': 'x' is not a whole number"),
        ({"Patient Age": 300}, r"row 3, column 'Patient Age': 300 is not in 0 to 130"),
        ({"Patient Sex": "?"}, r"row 3, column 'Patient Sex': '\?' is none of female, f, male, m"),
        ({"Left-Diagnostic Keywords": ""}, r"row 3, column 'Left-Diagnostic Keywords': is empty"),
        (
            {"Left-Fundus": "../2_left.jpg"},
            r"row 3, column 'Left-Fundus': '\.\./2_left\.jpg' is not the name of a file",
        ),
        ({"Left-Fundus": "1_left.jpg"}, r"row 3, column 'Left-Fundus': '1_left\.jpg' belongs to another eye already"),
    ],
)
def test_bad_cells_stop(tmp_path: Path, change: dict[str, object], message: str) -> None:
    source = downloads.odir_kaggle(tmp_path, {1: (NORMAL, NORMAL), 2: (NORMAL, NORMAL)})
    second = dict(zip(downloads.ODIR_COLUMNS, downloads.odir_row(2), strict=True)) | change
    downloads.write_xlsx(source / "ODIR-5K/data.xlsx", [downloads.odir_row(1), list(second.values())])
    with pytest.raises(SwclError, match=message):
        odir.read(source)


def test_wrong_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match=r"does not look like a download of OIA-ODIR.\nLooked for: Training Set"):
        odir.read(tmp_path)
    with pytest.raises(SwclError, match="is not a folder"):
        odir.read(tmp_path / "nowhere")
    downloads.odir_official(tmp_path, {"Training": [1]})
    (tmp_path / "Training Set/Annotation/training annotation (English).xlsx").write_bytes(b"no workbook")
    with pytest.raises(SwclError, match=r"training annotation \(English\)\.xlsx can't be read as an Excel table"):
        odir.read(tmp_path)
    (tmp_path / "Training Set/Annotation/training annotation (English).xlsx").unlink()
    with pytest.raises(SwclError, match=r"The label file .*training annotation \(English\)\.xlsx is missing"):
        odir.read(tmp_path)


def test_two_label_files_at_one_depth_stop(tmp_path: Path) -> None:
    source = downloads.odir_kaggle(tmp_path, {1: (NORMAL, NORMAL)})
    downloads.write_xlsx(source / "copy/data.xlsx", [downloads.odir_row(1)])
    with pytest.raises(SwclError, match=r"holds data\.xlsx twice"):
        odir.read(source)


@pytest.mark.parametrize("form", ["data.xlsx", "full_df.csv"])
def test_categories_are_of_patients(tmp_path: Path, form: str) -> None:
    """Whatever an eye's own keywords say: both have those of the patient, in the order N to O."""
    flags: dict[int, list[object]] = {
        1: [0, 1, 0, 0, 0, 0, 0, 1],
        2: [1, 0, 0, 0, 0, 0, 0, 0],
        3: [0] * 8,
        4: [0, 0, "", 0, 0, 0, 0, 1],
    }
    rows = [[*downloads.odir_row(patient, right="drusen")[:-8], *of] for patient, of in flags.items()]
    for item, name in enumerate(f"{patient}_{eye}" for patient in flags for eye in ("left", "right")):
        downloads.write_photograph(tmp_path / f"preprocessed_images/{name}.jpg", item)
    if form == "data.xlsx":
        downloads.write_xlsx(tmp_path / "ODIR-5K/data.xlsx", rows)
    else:
        downloads.write_csv(tmp_path / form, [downloads.ODIR_COLUMNS, *(row for row in rows for _ in "LR")])
    download = odir.read(tmp_path)
    expected = {"1": "D;O", "2": "N", "3": "", "4": None}
    assert [(row.patient_id, row.labels["categories"]) for row in download.photographs] == [
        (patient, expected[patient]) for patient in "11223344"
    ]
    assert {row.image_id: row.labels["abnormal"] for row in download.photographs if row.eye == "left"} == {
        f"{patient}_left": False for patient in flags
    }
    assert [label.name for label in download.own_labels] == ["categories"]
    assert not set("NDGCAHMO") & {column.strip("'") for column in download.unused}


def test_categories_that_contradict_each_other_or_are_no_flags_stop(tmp_path: Path) -> None:
    rows = [downloads.odir_row(1), [*downloads.odir_row(1)[:-1], 1]]
    downloads.write_photograph(tmp_path / "preprocessed_images/1_left.jpg", 1)
    downloads.write_csv(tmp_path / "full_df.csv", [downloads.ODIR_COLUMNS, *rows])
    with pytest.raises(SwclError, match=r"full_df\.csv, row 3, column 'O': '1' contradicts row 2 of the same patient"):
        odir.read(tmp_path)
    downloads.write_csv(tmp_path / "full_df.csv", [downloads.ODIR_COLUMNS, [*downloads.odir_row(1)[:-1], 2]])
    with pytest.raises(SwclError, match=r"full_df\.csv, row 2, column 'O': 2 is not in 0 to 1"):
        odir.read(tmp_path)


def test_a_table_without_categories_is_read_and_told(tmp_path: Path) -> None:
    downloads.odir_kaggle(tmp_path, {1: (NORMAL, NORMAL)})
    columns = downloads.ODIR_COLUMNS[:-1]
    downloads.write_xlsx(tmp_path / "ODIR-5K/data.xlsx", [downloads.odir_row(1)[:-1]], columns)
    download = odir.read(tmp_path)
    assert [row.labels["categories"] for row in download.photographs] == [None, None]
    assert download.remarks == ["data.xlsx has no column O: its patients have no categories."]


def test_names_that_contradict_their_row_are_told(tmp_path: Path) -> None:
    """As where a column was sorted alone, or both eyes' columns are exchanged; other names tell nothing."""
    rows = [downloads.odir_row(patient) for patient in (1, 2, 3)]
    for item, name in enumerate(["1_left", "1_right", "2_left", "2_right", "left", "3_right"]):
        downloads.write_photograph(tmp_path / f"preprocessed_images/{name}.jpg", item)
    rows[2][3] = "left.jpg"
    downloads.write_xlsx(tmp_path / "ODIR-5K/data.xlsx", rows)
    assert odir.read(tmp_path).remarks == []
    rows[0][3], rows[1][3] = rows[1][3], rows[0][3]
    downloads.write_xlsx(tmp_path / "ODIR-5K/data.xlsx", rows)
    assert odir.read(tmp_path).remarks == [
        "files whose names tell another patient or eye than their row: 2, such as in data.xlsx, row 2; the rows are "
        "believed."
    ]
