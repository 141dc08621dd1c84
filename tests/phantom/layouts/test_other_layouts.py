"""Layouts of Messidor, STARE, CHASE_DB1, REFUGE and own photographs: files, tables and oddities."""

from __future__ import annotations

import gzip
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from swcl_cli.phantom.layouts.chase_db1 import lay_out_chase_db1
from swcl_cli.phantom.layouts.folder import lay_out_folder
from swcl_cli.phantom.layouts.messidor import lay_out_messidor
from swcl_cli.phantom.layouts.refuge import lay_out_refuge
from swcl_cli.phantom.layouts.stare import lay_out_stare
from tests.folders import contents

SIZE = 64


def lay_out_all(folder: Path, workers: int) -> dict[str, bytes]:
    list(lay_out_messidor(folder / "messidor", folder, 5, 6, SIZE, workers))
    list(lay_out_refuge(folder / "refuge", 5, 2, SIZE, workers))
    list(lay_out_folder(folder / "folder", folder, 5, 2, SIZE, workers))
    return contents(folder)


def test_equal_seeds_give_equal_bytes_whatever_the_workers(tmp_path: Path) -> None:
    assert lay_out_all(tmp_path / "alone", 1) == lay_out_all(tmp_path / "shared", 2)


def test_messidor_errata_and_duplicates(tmp_path: Path) -> None:
    assert list(lay_out_messidor(tmp_path / "raw", tmp_path, 1, 12, SIZE)) == list(range(12))
    tables = {
        base: pd.read_excel(tmp_path / f"raw/Annotation_{base}.xlsx", engine="calamine")
        for base in ("Base11", "Base12", "Base33")
    }
    assert [len(table) for table in tables.values()] == [4, 4, 6]
    for base, table in tables.items():
        assert list(table.columns)[2:] == ["Retinopathy grade", "Risk of macular edema "]
        assert set(table["Image name"]) == {path.name for path in (tmp_path / "raw" / base).iterdir()}
    first = tables["Base11"].iloc[0]
    assert (first["Image name"], first["Retinopathy grade"]) == ("20051020_63045_0100_PP.tif", 1)
    assert not np.asarray(Image.open(tmp_path / "lesion_masks/Base11/20051020_63045_0100_PP.png")).any()
    folder, last = tmp_path / "raw/Base33", tables["Base33"].set_index("Image name")["Retinopathy grade"]
    for twin, agrees in ((0, True), (1, False)):
        names = (last.index[twin], last.index[4 + twin])
        (one, other) = (np.asarray(Image.open(folder / name)) for name in names)
        assert np.array_equal(one, other) and (last[names[0]] == last[names[1]]) == agrees
        assert (folder / names[0]).read_bytes() != (folder / names[1]).read_bytes()


def test_stare_is_gzipped_and_has_two_observers(tmp_path: Path) -> None:
    assert list(lay_out_stare(tmp_path, 1, 1, 1)) == [1, 162]
    image, first, second = (
        np.asarray(Image.open(BytesIO(gzip.decompress((tmp_path / name).read_bytes()))))
        for name in ("stare-images/im0001.ppm.gz", "labels-ah/im0001.ah.ppm.gz", "labels-vk/im0001.vk.ppm.gz")
    )
    assert image.shape == (605, 700, 3) and first.shape == second.shape == (605, 700)
    assert set(np.unique(first)) == set(np.unique(second)) == {0, 255}
    assert first.sum() < second.sum()


def test_chase_has_both_eyes_of_a_child(tmp_path: Path) -> None:
    assert list(lay_out_chase_db1(tmp_path, 1, 1, 0)) == [1]
    assert set(contents(tmp_path)) == {
        f"Image_01{side}{tail}" for side in "LR" for tail in (".jpg", "_1stHO.png", "_2ndHO.png")
    }
    photograph, vessels = (np.asarray(Image.open(tmp_path / f"Image_01L{tail}")) for tail in (".jpg", "_1stHO.png"))
    assert photograph.shape == (960, 999, 3) and vessels.shape == (960, 999)
    assert 0.05 < vessels.mean() < 0.2


def test_refuge_masks_agree_with_the_labels(tmp_path: Path) -> None:
    assert list(lay_out_refuge(tmp_path, 1, 4, SIZE)) == list(range(12))
    masks = {path.stem: np.asarray(Image.open(path)) for path in tmp_path.rglob("*.bmp")}
    photographs = {path.stem: path for path in tmp_path.rglob("*.jpg")}
    assert masks.keys() == photographs.keys()
    assert {stem for stem in masks if stem[0] in "gn"} == {"g0001", "n0001", "n0002", "n0003"}
    labels: dict[str, int] = {}
    for table, column in (
        ("REFUGE-Validation400-GT/Fovea_locations.xlsx", "Glaucoma Label"),
        ("REFUGE-Test-GT/Glaucoma_label_and_Fovea_location.xlsx", "Label(Glaucoma=1)"),
    ):
        frame = pd.read_excel(tmp_path / table, engine="calamine")
        labels |= {
            name.removesuffix(".jpg"): label for name, label in zip(frame["ImgName"], frame[column], strict=True)
        }
    assert labels.keys() == {stem for stem in masks if stem[0] in "VT"} and sum(labels.values()) == 2
    for stem, mask in masks.items():
        assert set(np.unique(mask)) == {0, 128, 255}
        assert mask.shape == np.asarray(Image.open(photographs[stem])).shape[:2]
        cup, disc = ((mask < threshold).any(axis=1).sum() for threshold in (100, 150))
        glaucoma = labels.get(stem, int(stem[0] == "g"))
        assert (cup / disc > 0.6) == bool(glaucoma), stem


def test_own_photographs_have_a_table(tmp_path: Path) -> None:
    assert list(lay_out_folder(tmp_path / "raw", tmp_path, 1, 3, SIZE)) == [0, 1, 2]
    table = pd.read_csv(tmp_path / "raw/labels.csv")
    assert sorted(table["image"]) == sorted(name for name in contents(tmp_path / "raw") if name.endswith(".jpg"))
    assert set(table["eye"]) == {"L", "R"} and table.groupby("patient")["age"].nunique().max() == 1
