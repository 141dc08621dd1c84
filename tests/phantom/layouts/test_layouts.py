"""Layouts: the files, names and oddities of the public downloads; the same seed gives the same bytes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import SIDES, draw_patient
from swcl_cli.phantom.layouts.drive import lay_out_drive
from swcl_cli.phantom.layouts.eyepacs import lay_out_eyepacs
from swcl_cli.phantom.layouts.idrid import lay_out_idrid
from swcl_cli.phantom.layouts.odir import COLUMNS, lay_out_odir
from swcl_cli.phantom.layouts.studio import FIRST_PERSON
from tests.folders import contents

SIZE = 64


def lay_out_all(folder: Path, workers: int) -> dict[str, bytes]:
    list(lay_out_odir(folder / "odir", folder / "odir-truth", 5, 6, SIZE, workers))
    list(lay_out_eyepacs(folder / "eyepacs", folder / "eyepacs-truth", 5, 6, SIZE, workers))
    list(lay_out_idrid(folder / "idrid", folder / "idrid-truth", 5, 3, 2, SIZE, workers))
    list(lay_out_drive(folder / "drive", 5, 2, 1, workers))
    return contents(folder)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def odir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odir")
    assert list(lay_out_odir(folder / "raw", folder, 2, 30, SIZE)) == list(range(30))
    return folder


@pytest.fixture(scope="module")
def eyepacs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("eyepacs")
    assert list(lay_out_eyepacs(folder / "raw", folder, 2, 12, SIZE)) == list(range(1, 13))
    return folder


def workbooks(raw: Path) -> dict[str, pd.DataFrame]:
    paths = {
        "Training Set": "training annotation (English).xlsx",
        "Off-site Test Set": "off-site test annotation (English).xlsx",
        "On-site Test Set": "on-site test annotation (English).xlsx",
    }
    return {part: pd.read_excel(raw / part / "Annotation" / name, engine="calamine") for part, name in paths.items()}


def test_equal_seeds_give_equal_bytes_whatever_the_workers(tmp_path: Path) -> None:
    alone = lay_out_all(tmp_path / "alone", 1)
    shared = lay_out_all(tmp_path / "shared", 2)
    assert alone.keys() == shared.keys()
    assert [name for name in alone if alone[name] != shared[name]] == []


def test_data_sets_number_their_persons_far_apart() -> None:
    """EyePACS, the largest, has 44,351 patients: with room for that many, no eye is in two data sets."""
    assert np.diff(sorted(FIRST_PERSON.values())).min() > 44_351


def test_odir_has_three_parts_with_ids_of_their_own(odir: Path) -> None:
    tables = workbooks(odir / "raw")
    assert [len(table) for table in tables.values()] == [21, 3, 6]
    assert sorted(pd.concat(tables.values())["ID"]) == list(range(30))
    for part, table in tables.items():
        assert tuple(table.columns) == COLUMNS
        images = {path.name for path in (odir / "raw" / part / "Images").iterdir()}
        assert images == {f"{patient}_{side}.jpg" for patient in table["ID"] for side in SIDES}
        assert images == set(table["Left-Fundus"]) | set(table["Right-Fundus"])


def test_odir_words_agree_with_the_lesion_masks(odir: Path) -> None:
    seen: Counter[str] = Counter()
    for part, table in workbooks(odir / "raw").items():
        for row in table.itertuples(index=False):
            for photograph, words in ((row[3], row[5]), (row[4], row[6])):
                mask = pixels(odir / "lesion_masks" / part / "Images" / photograph.replace(".jpg", ".png"))
                assert mask.shape == pixels(odir / "raw" / part / "Images" / photograph).shape[:2]
                keywords = words.split("\uff0c")
                normal = "normal fundus" in keywords or keywords == ["lens dust"]
                lesions = not normal and keywords not in (["glaucoma"], ["anterior segment image"])
                assert mask.any() == lesions, (photograph, words)
                seen.update(keywords)
            assert row[7] == (not any(row[8:]))
    assert seen["anterior segment image"] == 1
    assert seen["lens dust"] > 0 and seen["normal fundus"] > 10


def test_odir_has_no_stray_photograph_in_small_collections(tmp_path: Path) -> None:
    list(lay_out_odir(tmp_path / "raw", tmp_path, 2, 4, SIZE))
    words = pd.concat(workbooks(tmp_path / "raw").values())
    assert not words["Left-Diagnostic Keywords"].str.contains("anterior").any()
    assert not words["Right-Diagnostic Keywords"].str.contains("anterior").any()


def test_eyepacs_files_and_tables(eyepacs: Path) -> None:
    raw = eyepacs / "raw"
    train, test = pd.read_csv(raw / "trainLabels.csv"), pd.read_csv(raw / "retinopathy_solution.csv")
    assert list(train.columns) == ["image", "level"] and list(test.columns) == ["image", "level", "Usage"]
    assert b"\r" not in (raw / "trainLabels.csv").read_bytes()
    assert (raw / "retinopathy_solution.csv").read_bytes().count(b"\r\n") == len(test) + 1
    assert {path.stem for path in (raw / "train").iterdir()} == set(train["image"])
    assert {path.stem for path in (raw / "test").iterdir()} == set(test["image"])
    assert all(path.suffix == ".jpeg" for part in ("train", "test") for path in (raw / part).iterdir())
    assert not set(train["image"]) & set(test["image"]) and len(train) + len(test) == 24
    heights = {Image.open(path).height for path in raw.rglob("*.jpeg")}
    assert len(heights) > 1 and min(heights) >= SIZE


def test_a_third_of_eyepacs_is_upside_down_masks_too(eyepacs: Path) -> None:
    """Compared with the upright drawing: photograph and lesion mask are turned together, both eyes of a patient."""
    inverted = 0
    for patient in range(1, 13):
        (left,) = (eyepacs / "raw").rglob(f"{patient}_left.jpeg")
        part = left.parent.name
        person = FIRST_PERSON["eyepacs"] + patient
        eyes = draw_patient(2, person, Image.open(left).height, choose_findings(2, person))
        turns = []
        for side, eye in zip(SIDES, eyes, strict=True):
            photograph = pixels(eyepacs / "raw" / part / f"{patient}_{side}.jpeg").astype(int)
            error = [np.abs(photograph - np.rot90(eye.image, turn)).mean() for turn in (0, 2)]
            turns.append(2 * int(np.argmin(error)))
            assert min(error) < 6 and max(error) > min(error) + 3
            mask = pixels(eyepacs / "lesion_masks" / part / f"{patient}_{side}.png")
            assert np.array_equal(mask, np.rot90(eye.lesions, turns[-1]))
        assert turns[0] == turns[1]
        inverted += turns[0] == 2
    assert inverted == 4


def test_eyepacs_levels_agree_with_the_masks(eyepacs: Path) -> None:
    for part, table in (("train", "trainLabels.csv"), ("test", "retinopathy_solution.csv")):
        for row in pd.read_csv(eyepacs / "raw" / table).itertuples(index=False):
            kinds = set(np.unique(pixels(eyepacs / "lesion_masks" / part / f"{row.image}.png")).tolist())
            assert (row.level > 0) == bool(kinds - {0, 5})


def test_drive_files_and_masks(tmp_path: Path) -> None:
    assert list(lay_out_drive(tmp_path, 1, 2, 1)) == [0, 1, 2]
    assert set(contents(tmp_path)) == {
        *(f"training/{name}" for number in (21, 22) for name in (
            f"images/{number}_training.tif", f"1st_manual/{number}_manual1.gif", f"mask/{number}_training_mask.gif"
        )),
        "test/images/01_test.tif", "test/1st_manual/01_manual1.gif", "test/mask/01_test_mask.gif",
    }  # fmt: skip
    image = Image.open(tmp_path / "training/images/21_training.tif")
    assert (image.format, image.mode, image.size) == ("TIFF", "RGB", (565, 584))
    vessels, field = (
        np.asarray(Image.open(tmp_path / f"training/{name}.gif").convert("L"))
        for name in ("1st_manual/21_manual1", "mask/21_training_mask")
    )
    assert vessels.shape == field.shape == (584, 565)
    assert set(np.unique(vessels)) == set(np.unique(field)) == {0, 255}
    assert not vessels[field == 0].any()
    assert 0.6 < (field > 0).mean() < 0.75
    assert 0.08 < (vessels > 0).mean() < 0.2


def test_idrid_tables_keep_their_oddities(tmp_path: Path) -> None:
    assert list(lay_out_idrid(tmp_path / "raw", tmp_path, 3, 4, 2, SIZE)) == list(range(6))
    root = tmp_path / "raw" / "B. Disease Grading"
    tables = root / "2. Groundtruths"
    train = (tables / "a. IDRiD_Disease Grading_Training Labels.csv").read_bytes().decode().split("\r\n")
    test = (tables / "b. IDRiD_Disease Grading_Testing Labels.csv").read_bytes().decode().split("\r\n")
    assert train[0] == "Image name,Retinopathy grade,Risk of macular edema ,,,,,,,,,"
    assert test[0] == "Image name,Retinopathy grade,Risk of macular edema "
    assert len(train) == 6 and len(test) == 4
    for part, lines in (("a. Training Set", train), ("b. Testing Set", test)):
        photographs = root / "1. Original Images" / part
        assert {path.name for path in photographs.iterdir()} == {f"{line[:9]}.jpg" for line in lines[1:-1]}
        for line in lines[1:-1]:
            stem, grade, oedema = line.split(",")[:3]
            mask = pixels(tmp_path / "lesion_masks/B. Disease Grading/1. Original Images" / part / f"{stem}.png")
            assert mask.shape == pixels(photographs / f"{stem}.jpg").shape[:2]
            assert (int(grade) > 0) == mask.any()
            assert (int(oedema) > 0) == (mask == 3).any()
    assert train[1].startswith("IDRiD_001,") and test[1].startswith("IDRiD_001,")
