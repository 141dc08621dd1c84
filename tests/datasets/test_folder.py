"""People's own photographs: with and without a table, masks, and names that tell of patients."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from swcl_cli.catalogue.labels import LABELS
from swcl_cli.data import manifest
from swcl_cli.datasets import folder
from swcl_cli.datasets.download import Problem
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
from tests import downloads


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for item, name in enumerate(("north/P1_L.jpg", "north/P1_R.png", "south/deep/P2_L.jpg", "P3_OD.tif")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    return tmp_path / "source"


def by_id(download: Any, *names: str) -> dict[str, tuple[Any, ...]]:
    """What is known of each photograph: by these names, attributes or labels."""
    return {
        row.image_id: tuple(row.labels.get(name) if name in LABELS else getattr(row, name) for name in names)
        for row in download.photographs
    }


def test_without_a_table(source: Path) -> None:
    download = folder.read(source)
    assert by_id(download, "path", "patient_id", "eye", "split", "abnormal") == {
        "P3_OD": ("P3_OD.tif", "P3_OD", "unknown", "train", None),
        "north_P1_L": ("north/P1_L.jpg", "north_P1_L", "unknown", "train", None),
        "north_P1_R": ("north/P1_R.png", "north_P1_R", "unknown", "train", None),
        "south_deep_P2_L": ("south/deep/P2_L.jpg", "south_deep_P2_L", "unknown", "train", None),
    }
    assert download.draw_validation and not download.problems


def test_names_that_tell_of_patient_and_eye(source: Path) -> None:
    download = folder.read(source, name_pattern=r"(?P<patient>P\d+)_(?P<eye>[A-Z]+)")
    assert by_id(download, "patient_id", "eye") == {
        "P3_OD": ("P3", "right"),
        "north_P1_L": ("P1", "left"),
        "north_P1_R": ("P1", "right"),
        "south_deep_P2_L": ("P2", "left"),
    }


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("(", UsageError, r"name_pattern: '\(' is not a regular expression"),
        (r"(P\d+)", UsageError, r"has neither a group \(\?P<patient>...\) nor \(\?P<eye>...\)"),
        (r"(?P<patient>X\d+)", SwclError, r"P3_OD\.tif: --name-pattern .* finds neither a patient nor an eye in it"),
        (r"(?P<eye>P)\d", SwclError, r"P3_OD\.tif: --name-pattern finds the eye 'P': none of left, l, os"),
    ],
)
def test_bad_patterns_stop(source: Path, pattern: str, error: type[SwclError], message: str) -> None:
    with pytest.raises(error, match=message):
        folder.read(source, name_pattern=pattern)


def test_with_a_table(source: Path) -> None:
    rows: list[list[object]] = [
        ["Image", "Patient", "eye", "split", "abnormal", "dr_grade", "dme_grade", "glaucoma", "age", "sex"],
        ["north/P1_L.jpg", "one", "OS", "train", 1, 3, 1, 0, 61, "F"],
        ["north/P1_R", "one", "r", "val", 0, 0, 0, 0, 61, "female"],
        ["P3_OD", "", "", "", "", "", "", "", "", ""],
        ["east/P9.jpg", "nine", "", "", "", "", "", "", "", ""],
    ]
    downloads.write_csv(source / "labels.csv", rows, ending="\r\n", start="\ufeff")
    download = folder.read(source, labels=source / "labels.csv", name_pattern=r"(?P<patient>P\d)")
    columns = ("patient_id", "eye", "split", "abnormal", "dr_grade", "dme_grade", "glaucoma", "age", "sex")
    assert by_id(download, *columns) == {
        "north_P1_L": ("one", "left", "train", True, 3, 1, False, 61, "female"),
        "north_P1_R": ("one", "right", "val", False, 0, 0, False, 61, "female"),
        "P3_OD": ("P3", "unknown", "train", None, None, None, None, None, None),
    }
    assert [(problem.source_path, problem.problem) for problem in sorted(download.problems)] == [
        ("east/P9.jpg", "label without image"),
        ("south/deep/P2_L.jpg", "image without label"),
    ]
    assert not download.draw_validation


def test_tables_of_spreadsheets(tmp_path: Path, source: Path) -> None:
    """Numbers as text, Windows' paths, missing cells, and columns that nobody reads, which are named."""
    table = tmp_path / "labels.csv"
    table.write_bytes(
        "image;Patient;abnormal;dr_grade;operator\r\n"
        "north\\P1_L.jpg;7.0;WAHR;2,0;M\u00fcller\r\nP3_OD;7;FALSCH;NA;\r\nsouth/deep/P2_L;NA;;1;\r\n".encode("cp1252")
    )
    download = folder.read(source, labels=table)
    assert by_id(download, "patient_id", "abnormal", "dr_grade") == {
        "north_P1_L": ("7", True, 2),
        "P3_OD": ("7", False, None),
        "south_deep_P2_L": ("south_deep_P2_L", None, 1),
    }
    assert download.remarks == [
        "labels.csv: it is not in UTF-8, and was read as Windows-1252.",
        "labels.csv: columns that are not used: 'operator' (has one class, 'M\u00fcller').",
        "photographs without a patient: 1, such as south/deep/P2_L.jpg; each counts as a patient of its own, so that "
        "splits and folds may divide one.",
    ]


def test_names_that_a_program_took_for_numbers(tmp_path: Path) -> None:
    for item, name in enumerate(("1.jpg", "2.jpg", "3.0.jpg")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    table = write_labels(tmp_path / "labels.csv", **{"1.0": 0, "2.0": 1, "3.0": 1})
    download = folder.read(tmp_path / "source", labels=table)
    assert labelled(download) == {"1.jpg": False, "2.jpg": True, "3.0.jpg": True}
    table = write_labels(tmp_path / "labels.csv", **{"1.0": 0, "2": 1, "3.0": 1})
    assert labelled(folder.read(tmp_path / "source", labels=table)) == {"2.jpg": True, "3.0.jpg": True}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../P1_L.jpg,0,0", r"labels\.csv, row 2, column 'image': '\.\./P1_L\.jpg' is not a path in the folder"),
        ("/etc/P1_L.jpg,0,0", r"column 'image': '/etc/P1_L\.jpg' is not a path in the folder"),
        ("north/../P3_OD.tif,0,0", r"column 'image': .* is not a path in the folder"),
        ("P3_OD,5,0", r"row 2, column 'dr_grade': 5 is not in 0 to 4"),
        ("P3_OD,0,maybe", r"row 2, column 'abnormal': 'maybe' is not a whole number"),
        ("P3_OD,0,0\nP3_OD.tif,0,0", r"row 3, column 'image': 'P3_OD\.tif' names the image of row 2 again"),
        ("P3_OD,0,0\nP3_OD,0,0", r"row 3, column 'image': 'P3_OD' stands in row 2 already"),
        ("image,dr_grade,abnormal", r"row 2: repeats the header of row 1"),
    ],
)
def test_bad_tables_stop(tmp_path: Path, source: Path, row: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(f"image,dr_grade,abnormal\n{row}\n")
    with pytest.raises(SwclError, match=message):
        folder.read(source, labels=tmp_path / "labels.csv")


@pytest.mark.parametrize(
    ("column", "meant"), [("patient_id", "patient"), ("DR-Grade", "dr_grade"), ("eyes", "eye"), ("diagnosis", None)]
)
def test_columns_that_are_nearly_known_stop(tmp_path: Path, source: Path, column: str, meant: str | None) -> None:
    """Taken for others they would cost the labels; with the known one beside them they are further columns."""
    table = tmp_path / "labels.csv"
    table.write_text(f"image,{column}\nP3_OD,1\n")
    if meant is None:
        folder.read(source, labels=table)
        return
    with pytest.raises(
        SwclError,
        match=rf"labels\.csv, row 1: column '{column}': call it '{meant}' if it is that, or say what it is by",
    ):
        folder.read(source, labels=table)
    table.write_text(f"image,{column},{meant}\nP3_OD,1,{'left' if meant == 'eye' else 1}\n")
    assert len(folder.read(source, labels=table).photographs) == 1


def test_masks_in_a_parallel_folder(tmp_path: Path, source: Path) -> None:
    masks = tmp_path / "masks"
    for name in ("north/P1_L.png", "north/P1_R.gif", "other/P8.png"):
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        downloads.field(120, 100).save(masks / name)
    download = folder.read(source, masks=[masks])
    assert {row.image_id for row in download.photographs if row.mask} == {"north_P1_L", "north_P1_R"}
    assert [(problem.source_path, problem.problem) for problem in download.problems] == [
        ("other/P8.png", "label without image"),
        ("P3_OD.tif", "no mask"),
        ("south/deep/P2_L.jpg", "no mask"),
    ]
    settings = PrepSettings(workspace=tmp_path, dataset="folder", source=source, size=0, workers=0, masks=[masks])
    frame = manifest.read(prep.run(settings)).set_index("image_id")
    assert frame["mask_path"]["north_P1_L"] == "data/folder/masks/north_P1_L_mask.png"
    assert frame["mask_path"].notna().sum() == 2
    with pytest.raises(UsageError, match="prepare it with --size 0"):
        prep.run(settings.model_copy(update={"size": 80}))


@pytest.mark.parametrize("name", ["{}_mask", "{}-mask", "{}_masks", "mask_{}", "MASK-{}", "{}"])
def test_names_of_masks(tmp_path: Path, source: Path, name: str) -> None:
    masks = tmp_path / "masks"
    (masks / "north").mkdir(parents=True)
    downloads.field(120, 100).save(masks / "north" / f"{name.format('P1_L')}.png")
    (masks / "notes.txt").write_text("not a mask")
    download = folder.read(source, masks=[masks])
    assert [row.image_id for row in download.photographs if row.mask] == ["north_P1_L"]
    told = {(problem.source_path, problem.problem) for problem in download.problems}
    assert told >= {("notes.txt", "image without label"), ("P3_OD.tif", "no mask")} and len(told) == 4


def test_two_masks_of_one_photograph_stop(tmp_path: Path, source: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("P3_OD.png", "P3_OD_mask.png"):
        downloads.field(120, 100).save(masks / name)
    download = folder.read(source, masks=[masks])
    assert download.stops == ["P3_OD.tif has two masks, P3_OD.png and P3_OD_mask.png"]
    assert Problem("P3_OD_mask.png", "refused", "a second mask of P3_OD.tif, beside P3_OD.png") in download.problems


def test_a_mask_that_has_the_photographs_own_name_comes_first(tmp_path: Path) -> None:
    """A photograph may be called `a_mask` itself."""
    for item, name in enumerate(("a.png", "a_mask.png")):
        downloads.write_photograph(tmp_path / "source/x" / name, item)
        (tmp_path / "masks/x").mkdir(parents=True, exist_ok=True)
        downloads.field(120, 100).save(tmp_path / "masks/x" / name)
    download = folder.read(tmp_path / "source", masks=[tmp_path / "masks"])
    masks = {row.path: Path(str(row.mask)).name for row in download.photographs}
    assert masks == {"x/a.png": "a.png", "x/a_mask.png": "a_mask.png"}


def test_no_mask_that_fits_is_an_error(tmp_path: Path, source: Path) -> None:
    (tmp_path / "masks").mkdir()
    downloads.field(120, 100).save(tmp_path / "masks" / "other.png")
    with pytest.raises(SwclError, match="None of the files in .*masks is the mask of a photograph"):
        folder.read(source, masks=[tmp_path / "masks"])


def test_masks_within_the_source_are_no_photographs(source: Path) -> None:
    (source / "masks/north").mkdir(parents=True)
    downloads.field(120, 100).save(source / "masks/north/P1_L.png")
    download = folder.read(source, masks=[source / "masks"])
    assert len(download.photographs) == 4 and sum(bool(row.mask) for row in download.photographs) == 1
    with pytest.raises(SwclError, match="P1_L.png seems to be a mask: take --masks .*source/masks, or move"):
        folder.read(source)


def test_masks_beside_their_photographs(source: Path) -> None:
    downloads.field(120, 100).save(source / "north/P1_L_mask.png")
    with pytest.raises(SwclError, match="seems to be the mask of north/P1_L.jpg: take --masks .*source, or move"):
        folder.read(source)
    download = folder.read(source, masks=[source])
    assert {row.path: bool(row.mask) for row in download.photographs} == {
        "P3_OD.tif": False, "north/P1_L.jpg": True, "north/P1_R.png": False, "south/deep/P2_L.jpg": False,
    }  # fmt: skip


@pytest.mark.parametrize("word", ["NA", "n/a", "-", "unknown", "", "N.A.", "--", ".", "—", "<NA>", "#N/A", "(missing)"])
def test_what_is_not_known_is_no_patient(tmp_path: Path, source: Path, word: str) -> None:
    table = tmp_path / "labels.csv"
    names = ("north/P1_L", "north/P1_R", "P3_OD")
    table.write_text("image,patient,eye,glaucoma\n" + "".join(f"{name},{word},{word},{word}\n" for name in names))
    download = folder.read(source, labels=table)
    patients = {row.patient_id: (row.eye, dict(row.labels)) for row in download.photographs}
    assert patients == dict.fromkeys(("north_P1_L", "north_P1_R", "P3_OD"), ("unknown", {}))


@pytest.mark.parametrize(
    ("first", "second"), [("train", "test"), ("Training", "Testing"), ("train/dr", "valid/dr"), ("x/train", "x/VAL")]
)
def test_folders_of_splits(tmp_path: Path, first: str, second: str) -> None:
    for item, part in enumerate((first, second)):
        downloads.write_photograph(tmp_path / part / "a.png", item)
    download = folder.read(tmp_path)
    wanted = {"test": "test", "testing": "test", "valid": "val", "val": "val"}
    last = wanted[next(part for part in second.lower().split("/") if part in wanted)]
    assert [row.split for row in sorted(download.photographs, key=lambda row: row.split)] == sorted(["train", last])
    assert download.draw_validation == (last == "test") and download.own_splits
    assert re.match(r"folders of SOURCE are splits by their names \(\w+, \w+\): 1 train, 1 ", download.remarks[0])


def test_photographs_beside_the_folders_of_splits_are_told(tmp_path: Path) -> None:
    for item, path in enumerate(("train/a.png", "test/b.png", "unlabelled/c.png", "d.png")):
        downloads.write_photograph(tmp_path / path, item)
    download = folder.read(tmp_path)
    assert {row.path: row.split for row in download.photographs}["unlabelled/c.png"] == "train"
    assert ": 1 train, 1 test; --split-file" in download.remarks[0]
    assert download.remarks[1] == (
        "photographs that neither table nor folder gives a split are train: 2, such as d.png."
    )


def test_photographs_without_a_split_among_others_are_told(tmp_path: Path) -> None:
    for item, name in enumerate("abcd"):
        downloads.write_photograph(tmp_path / f"source/{name}.png", item)
    table = tmp_path / "labels.csv"
    table.write_text("image,split\na,train\nb,test\nc,\nd,NA\n")
    download = folder.read(tmp_path / "source", labels=table)
    assert [row.split for row in download.photographs] == ["train", "test", "train", "train"]
    assert download.remarks == ["photographs that neither table nor folder gives a split are train: 2, such as c.png."]
    table.write_text("image,split\na,\nb,\nc,\nd,NA\n")
    remarks = folder.read(tmp_path / "source", labels=table).remarks
    assert remarks == ["labels.csv: columns in which no row has a value: 'split'."]


@pytest.mark.parametrize("pattern", [None, r"(?P<eye>[LR])(_(?P<patient>\d))?\."])
def test_photographs_without_a_patient_among_others_are_told(tmp_path: Path, pattern: str | None) -> None:
    """By table, or by names: also where some tell the eye alone. Nothing is said where none has a patient."""
    for item, name in enumerate(("a_L_1", "b_L_2", "c_R", "d_R")):
        downloads.write_photograph(tmp_path / f"source/{name}.png", item)
    table = tmp_path / "labels.csv"
    table.write_text("image,patient\na_L_1,1.0\nb_L_2,2.0\nc_R,\nd_R,NA\n")
    download = folder.read(tmp_path / "source", labels=None if pattern else table, name_pattern=pattern)
    assert [row.patient_id for row in download.photographs] == ["1", "2", "c_R", "d_R"]
    assert download.remarks == [
        "photographs without a patient: 2, such as c_R.png; each counts as a patient of its own, so that splits and "
        "folds may divide one."
    ]
    assert not folder.read(tmp_path / "source").remarks


def test_a_table_tells_more_than_a_folder(tmp_path: Path) -> None:
    for item, name in enumerate(("test/a.png", "test/b.png")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    table = tmp_path / "labels.csv"
    table.write_text("image,split\ntest/a,validation\ntest/b,-\n")
    download = folder.read(tmp_path / "source", labels=table)
    assert {row.path: row.split for row in download.photographs} == {"test/a.png": "val", "test/b.png": "test"}


def test_folders_that_contradict_each_other_stop(tmp_path: Path) -> None:
    downloads.write_photograph(tmp_path / "train/test/a.png", 0)
    with pytest.raises(SwclError, match="train/test/a.png: its folders name several splits, test and train"):
        folder.read(tmp_path)


def test_a_missing_folder_of_masks_is_named(tmp_path: Path, source: Path) -> None:
    with pytest.raises(UsageError, match="masks: .*nowhere is not a folder"):
        folder.read(source, masks=[tmp_path / "nowhere"])


def test_names_that_would_collide_stop(source: Path) -> None:
    downloads.write_photograph(source / "north_P1_L.jpg", 9)
    with pytest.raises(SwclError, match="would both be called north_P1_L: rename one"):
        folder.read(source)


def test_links_hidden_files_and_notes_of_macos_are_listed(tmp_path: Path, source: Path) -> None:
    downloads.write_photograph(tmp_path / "outside/a.jpg", 1)
    (source / "linked").symlink_to(tmp_path / "outside")
    (source / "b.jpg").symlink_to(tmp_path / "outside/a.jpg")
    for name in (".trash/c.jpg", "__MACOSX/north/P1_L.jpg", "north/._P1_L.jpg"):
        downloads.write_photograph(source / name, 2)
    download = folder.read(source)
    assert len(download.photographs) == 4
    assert sorted((problem.source_path, problem.detail) for problem in download.problems) == [
        (".trash", "hidden"),
        ("__MACOSX", "notes of macOS"),
        ("b.jpg", "a link that leads out of the source"),
        ("linked", "a link that leads out of the source"),
        ("north/._P1_L.jpg", "notes of macOS"),
    ]


def labelled(download: Any) -> dict[str, Any]:
    """The label of each photograph, by its path."""
    return {row.path: row.labels.get("abnormal") for row in download.photographs}


def write_labels(path: Path, **labels: object) -> Path:
    downloads.write_csv(path, [["image", "abnormal"], *([name, label] for name, label in labels.items())])
    return path


def test_only_the_suffix_of_an_image_is_none_of_its_name(tmp_path: Path) -> None:
    """P1.3 was lost in a copy: its label is not that of P1.jpg."""
    for item, name in enumerate(("P1.jpg", "P1.1.jpg", "P1.2.JPG", "P2.tif")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    table = write_labels(tmp_path / "labels.csv", **{"P1.1": 0, "P1.2": 0, "P1.3": 1, "P2.png": 1})
    download = folder.read(tmp_path / "source", labels=table)
    assert labelled(download) == {"P1.1.jpg": False, "P1.2.JPG": False, "P2.tif": True}
    assert {row.image_id for row in download.photographs} == {"P1.1", "P1.2", "P2"}
    assert [(problem.source_path, problem.problem) for problem in sorted(download.problems)] == [
        ("P1.3", "label without image"),
        ("P1.jpg", "image without label"),
    ]


def test_the_exact_name_of_a_file_comes_first(tmp_path: Path) -> None:
    for item, name in enumerate(("e0.jpg", "e0.png", "e1.jpg", "e1.png", "e2.jpg")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    labels = {"e0.png": 1, "e1.jpg": 0, "e1.png": 1, "e2": 0}
    download = folder.read(tmp_path / "source", labels=write_labels(tmp_path / "labels.csv", **labels))
    assert labelled(download) == {"e0.png": True, "e1.jpg": False, "e1.png": True, "e2.jpg": False}
    assert by_id(download, "path", "patient_id") == {
        "e0.png": ("e0.png", "e0"),
        "e1.jpg": ("e1.jpg", "e1"),
        "e1.png": ("e1.png", "e1"),
        "e2": ("e2.jpg", "e2"),
    }
    assert [(problem.source_path, problem.problem) for problem in download.problems] == [
        ("e0.jpg", "image without label")
    ]
    assert not download.stops


def test_a_name_that_fits_two_files_stops(tmp_path: Path) -> None:
    for item, name in enumerate(("e0.jpg", "e0.png", "e1.jpg")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    download = folder.read(tmp_path / "source", labels=write_labels(tmp_path / "labels.csv", e0=1, e1=0))
    assert download.stops == ["labels.csv, row 2: 'e0' fits e0.jpg and e0.png: write the whole name, or rename one"]
    assert len(folder.read(tmp_path / "source").photographs) == 3


def test_unicode_forms_of_a_name_are_one_name(tmp_path: Path) -> None:
    """One eye's photograph was copied by a Mac, and the table comes from elsewhere."""
    composed, apart = "M\u00fcller", "Mu\u0308ller"
    for item, name in enumerate((f"{composed}_L.jpg", f"{apart}_R.jpg")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    table = write_labels(tmp_path / "labels.csv", **{f"{apart}_L": 0, f"{composed}_R.jpg": 1})
    download = folder.read(tmp_path / "source", labels=table, name_pattern="(?P<patient>.+)_.")
    assert labelled(download) == {f"{composed}_L.jpg": False, f"{apart}_R.jpg": True}
    assert by_id(download, "patient_id") == {f"{composed}_L": (composed,), f"{composed}_R": (composed,)}
