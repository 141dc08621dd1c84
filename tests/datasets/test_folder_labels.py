"""Labels of any name in people's own tables, and classes that are folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swcl_cli.datasets import folder
from swcl_cli.datasets.download import Download
from swcl_cli.errors import SwclError, UsageError
from tests import downloads

FOLDERS = Path("folders")


def photographs(root: Path, *names: str) -> Path:
    for item, name in enumerate(names):
        downloads.write_photograph(root / name, item)
    return root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return photographs(tmp_path / "source", *(f"{number}.jpg" for number in range(6)))


def read(source: Path, text: str, **values: Any) -> Download:
    table = source.parent / "labels.csv"
    table.write_text(text, encoding="utf-8")
    return folder.read(source, labels=table, **values)


def labels(download: Download) -> dict[str, dict[str, Any]]:
    return {photograph.image_id: dict(photograph.labels) for photograph in download.photographs}


def test_all_columns_of_a_table_are_labels(source: Path) -> None:
    """A missing cell is missing for its label alone; rows without a photograph have no say in what is a class."""
    download = read(
        source,
        "id_code,Diagnosis,stage,abnormal,age,comment\n"
        "5,DR,2,1,71,a\n0,healthy,0,0,60,b\n1,DR,NA,1,,c\n2,dr,1,,50,d\n3,healthy,0,0,40,e\n4,,0,0,30,f\n"
        "gone,AMD,4,1,20,g\n",
        image_column="id_code",
    )
    assert labels(download) == {
        "0": {"abnormal": False, "age": 60, "Diagnosis": "healthy", "stage": "0"},
        "1": {"abnormal": True, "Diagnosis": "DR", "stage": None},
        "2": {"age": 50, "Diagnosis": "DR", "stage": "1"},
        "3": {"abnormal": False, "age": 40, "Diagnosis": "healthy", "stage": "0"},
        "4": {"abnormal": False, "age": 30, "Diagnosis": None, "stage": "0"},
        "5": {"abnormal": True, "age": 71, "Diagnosis": "DR", "stage": "2"},
    }
    assert [(label.name, label.kind, label.names) for label in download.own_labels] == [
        ("Diagnosis", "classes", ("healthy", "DR")),
        ("stage", "grades", ("0", "1", "2")),
    ]
    assert download.overview == [
        ("abnormal", "binary", "0 (3), 1 (2)", "1"),
        ("age", "number", "30 to 71", "1"),
        ("Diagnosis", "classes", "healthy (2), DR (3)", "1"),
        ("stage", "grades", "0 (3), 1 (1), 2 (1)", "1 (NA)"),
    ]
    assert download.remarks[:2] == [
        "labels.csv: columns that are not used: 'comment' (holds 6 different texts in 6 rows).",
        "labels.csv: Diagnosis: 'DR' and 'dr' are one class.",
    ]


def test_a_class_of_one_patient_is_told(source: Path) -> None:
    download = read(source, "image,patient,sign\n0,a,yes\n1,a,yes\n2,b,no\n3,c,no\n")
    assert download.remarks == [
        "label sign: all photographs of 'yes' are of one patient, who can't be learnt and tested both: join or leave "
        "out such classes."
    ]


@pytest.mark.parametrize(
    ("label", "kind", "names"),
    [
        ("stage=classes", "classes", ("0", "1", "3")),
        ("STAGE=grades:0,1,2,3", "grades", ("0", "1", "2", "3")),
        ("stage=none", None, None),
    ],
)
def test_what_people_say_counts(source: Path, label: str, kind: str | None, names: tuple[str, ...] | None) -> None:
    download = read(source, "image,stage,x\n0,0,a\n1,1,a\n2,3,b\n3,0,b\n", label=[label])
    found = {each.name: (each.kind, each.names) for each in download.own_labels}
    assert found.pop("x") == ("classes", ("a", "b"))
    assert found == ({"stage": (kind, names)} if kind else {})
    if not kind:
        assert download.remarks == ["labels.csv: columns that are not used: 'stage' (left out)."]


@pytest.mark.parametrize(
    ("label", "error", "message"),
    [
        ("stage=classes:0,1", SwclError, r"labels\.csv, row 4: column 'stage' holds '3', which is none of 0, 1\.$"),
        ("same=classes", SwclError, r"labels\.csv: column 'same' has one class, '7'\.$"),
        ("other=classes", SwclError, r"--label other: it is no column; labels can be 'abnormal', 'stage', 'same'"),
        ("split=classes", SwclError, r"--label split: it has a meaning of its own"),
        ("image=classes", SwclError, r"--label image: it has a meaning of its own"),
        ("abnormal=classes", UsageError, r"label: abnormal is known, as binary: rename the column"),
    ],
)
def test_what_can_not_be_said(source: Path, label: str, error: type[SwclError], message: str) -> None:
    with pytest.raises(error, match=message):
        read(source, "image,abnormal,stage,same\n0,0,0,7\n1,1,1,7\n2,1,3,7\n", label=[label])


def test_columns_together_are_one_label(source: Path) -> None:
    """And none of their own, those that are known among them."""
    text = "image,DR,AMD,glaucoma,x\n0,1,0,0,a\n1,0,0,1,b\n2,1,1,0,a\n3,0,,0,b\n"
    download = read(source, text, label=["signs=several:dr,AMD,glaucoma"])
    assert labels(download) == {
        "0": {"x": "a", "signs": "DR"}, "1": {"x": "b", "signs": "glaucoma"}, "2": {"x": "a", "signs": "DR;AMD"},
        "3": {"x": "b", "signs": None},
    }  # fmt: skip
    assert ("signs", "several", "DR (2), AMD (1), glaucoma (1), none of them (0)", "1") in download.overview
    assert "all photographs of 'AMD' and 'glaucoma' are of one patient" in download.remarks[-1]
    with pytest.raises(
        SwclError, match=r"labels\.csv: --label signs: 'other' is no column; there are 'glaucoma', 'DR', 'AMD'"
    ):
        read(source, text, label=["signs=several:DR,other"])
    with pytest.raises(SwclError, match=r"labels\.csv, row 3: --label s: 'AMD' holds '7', which is neither 0 nor 1"):
        read(source, "image,DR,AMD\n0,1,0\n1,0,7\n", label=["s=several:DR,AMD"])


PATIENTS = "image,patient,outcome,side\n0,a,ill,x\n1,a,,y\n2,b,,x\n3,b,well,y\n4,c,,x\n5,d,ill,x\n"


def test_labels_of_patients_are_of_all_their_photographs(source: Path) -> None:
    download = read(source, PATIENTS, label=["outcome=classes:well,ill/patient"])
    assert {name: (row["outcome"], row["side"]) for name, row in labels(download).items()} == {
        "0": ("ill", "x"), "1": ("ill", "y"), "2": ("well", "x"), "3": ("well", "y"), "4": (None, "x"),
        "5": ("ill", "x"),
    }  # fmt: skip
    assert [(label.name, label.of) for label in download.own_labels] == [("outcome", "patient"), ("side", "photograph")]
    assert download.overview[0] == ("outcome", "classes, of patients", "well (2), ill (3)", "1")
    assert [remark for remark in download.remarks if "no patient" in remark] == []


def test_labels_of_patients_that_differ_stop(source: Path) -> None:
    with pytest.raises(
        SwclError,
        match=r"label outcome is of patients, but of a 0\.jpg has 'ill' and 1\.jpg 'well': put the table right",
    ):
        read(source, PATIENTS.replace("1,a,,", "1,a,well,"), label=["outcome=classes/patient"])


def test_labels_of_patients_without_patients_are_told(source: Path) -> None:
    download = read(source, "image,outcome\n0,ill\n1,ill\n2,well\n3,well\n", label=["outcome=classes/patient"])
    assert "label outcome is of patients, but no patient has two photographs" in " ".join(download.remarks)


def test_signs_of_a_cell(source: Path) -> None:
    text = "image,signs\n0,DR;AMD\n1,AMD\n2,DR\n3,\n"
    assert {name: row["signs"] for name, row in labels(read(source, text)).items()} == {
        "0": "AMD;DR", "1": "AMD", "2": "DR", "3": None,
    }  # fmt: skip
    with pytest.raises(SwclError, match=r"labels\.csv, row 2: column 'signs' holds 'AMD', which is none of DR, CNV"):
        read(source, text, label=["signs=several:DR,CNV"])


def test_known_labels_can_be_left_out(source: Path) -> None:
    download = read(source, "image,abnormal,x\n0,9,a\n1,1,b\n2,1,a\n3,,b\n", label=["abnormal=none"])
    assert set(labels(download)["1"]) == {"x"}


def test_the_column_of_photographs(source: Path) -> None:
    text = "id_code,image,x\n0,5,a\n1,4,b\n2,3,a\n3,2,b\n"
    download = read(source, text, image_column="ID_Code")
    assert {name: row["x"] for name, row in labels(download).items()} == {"0": "a", "1": "b", "2": "a", "3": "b"}
    assert "'image' (has a name with a meaning of its own: rename it to learn it)" in download.remarks[0]
    with pytest.raises(SwclError, match="column 'name' is missing; there are .*; --image-column NAME tells another"):
        read(source, text, image_column="name")
    with pytest.raises(UsageError, match="image_column: it is about --labels TABLE"):
        folder.read(source, image_column="name")


def test_columns_that_stand_twice_or_have_breaks_in_their_cells_are_told(source: Path) -> None:
    download = read(source, 'image,x,x,notes\n0,a,b,"one\ntwo"\n1,b,a,three\n2,a,b,four\n3,b,a,\n')
    assert not download.own_labels
    twice = "'x' (there is more than one of this name)"
    assert f"{twice}, {twice}" in download.remarks[0]
    assert "'notes' (holds 3 different texts in 4 rows)" in download.remarks[0]
    with pytest.raises(SwclError, match=r"--label X: it is there more than once; labels can be 'notes'\.$"):
        read(source, "image,x,X,notes\n0,a,b,c\n1,b,a,d\n2,a,b,c\n3,b,a,d\n", label=["X=classes"])


LAYOUTS = (
    ("{}/{}.jpg",),
    ("train/{}/{}.jpg", "val/{}/{}.jpg", "test/{}/{}.jpg"),  # RETFound's
    ("data/train/{}/{}.jpg", "data/test/{}/{}.jpg"),
    ("{}/train/{}.jpg", "{}/test/{}.jpg"),
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_folder_for_each_class(tmp_path: Path, layout: tuple[str, ...]) -> None:
    names = [
        part.format(name, 10 * place + number)
        for place, part in enumerate(layout)
        for name in ("anormal", "bDR", "cAMD")
        for number in range(3)
    ]
    download = folder.read(photographs(tmp_path, *names), labels=FOLDERS)
    assert {photograph.path for photograph in download.photographs} == set(names) and not download.problems
    assert all(photograph.labels["class"] in photograph.path.split("/") for photograph in download.photographs)
    for photograph in download.photographs:
        told = [split for split in ("train", "val", "test") if split in photograph.path.split("/")]
        assert [photograph.split] == (told or ["train"])
    assert [label.names for label in download.own_labels] == [("anormal", "bDR", "cAMD")]


def test_folders_of_grades(tmp_path: Path) -> None:
    root = photographs(tmp_path, *(f"{grade}/{number}.jpg" for grade in (0, 2, 1) for number in range(2)))
    (label,) = folder.read(root, labels=FOLDERS, label=["class=grades"]).own_labels
    assert (label.kind, label.names) == ("grades", ("0", "1", "2"))
    with pytest.raises(UsageError, match="the label that folders tell is called 'class'"):
        folder.read(root, labels=FOLDERS, label=["grade=grades"])
    with pytest.raises(UsageError, match="without class nothing remains"):
        folder.read(root, labels=FOLDERS, label=["class=none"])


def test_photographs_beside_the_folders_have_no_label(tmp_path: Path) -> None:
    root = photographs(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "train/3.jpg", "test/a/4.jpg")
    download = folder.read(root, labels=FOLDERS)
    assert {photograph.path for photograph in download.photographs} == {
        "train/a/1.jpg",
        "train/b/2.jpg",
        "test/a/4.jpg",
    }
    assert [(each.source_path, each.problem) for each in download.problems] == [("train/3.jpg", "image without label")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a/p1/1.jpg", "b/p2/2.jpg"), r"a/p1/1\.jpg lies in several folders, a/p1: --labels folders takes one folder"),
        (("a/1.jpg", "a/2.jpg"), "holds no folders of classes"),
        (("1.jpg", "2.jpg"), "holds no folders of classes"),
        (("train/a/1.jpg", "test/a/2.jpg"), "the label has one class, 'a'"),
    ],
)
def test_folders_that_are_no_classes(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(SwclError, match=message):
        folder.read(photographs(tmp_path, *names), labels=FOLDERS)


def test_folders_that_nobody_explains_are_told(tmp_path: Path) -> None:
    root = photographs(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "dev/3.jpg")
    (remark,) = [each for each in folder.read(root).remarks if "neither classes nor patients" in each]
    assert remark.startswith("folders of SOURCE (a, b) are taken for neither")
    pattern = "(?P<patient>[^/]+)/[^/]+$"
    assert pattern in remark
    download = folder.read(root, name_pattern=pattern)
    assert {photograph.path: photograph.patient_id for photograph in download.photographs} == {
        "train/a/1.jpg": "a", "train/b/2.jpg": "b", "dev/3.jpg": "dev",
    }  # fmt: skip
    assert not any("neither classes" in each for each in download.remarks)
