"""`prep` from raw download to manifest: equal bytes wherever it runs, splits, masks, and the real sets."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swcl_cli.data import images
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.steps import prep
from swcl_cli.workspace import Workspace, fingerprint, read_provenance
from tests import downloads
from tests.prep_runs import NORMAL, contents, odir_source, quarantine, rows_of, settings

SHARED = Path(__file__).parents[3] / "shared/data"


@pytest.fixture
def odir(tmp_path: Path) -> Path:
    return odir_source(tmp_path / "source")


def test_manifest_and_files(tmp_path: Path, odir: Path) -> None:
    path = prep.run(settings(tmp_path / "work", "odir", odir))
    frame = rows_of(path)
    assert path == tmp_path / "work/data/odir/manifest.parquet"
    assert frame["split"].value_counts().to_dict() == {"train": 32, "val": 8}
    assert frame.groupby("patient_id")["split"].nunique().max() == 1
    assert frame["image_id"].tolist() == frame.sort_values(["split", "image_id"])["image_id"].tolist()
    assert sorted(contents(tmp_path / "work")) == sorted(
        ["data/odir/manifest.parquet", "data/odir/quarantine.csv", *frame["path"]]
    )
    row = frame.set_index("image_id").loc["3_right"]
    assert row["path"] == "data/odir/images/3_right.jpg" and (row["width"], row["height"]) == (96, 80)
    assert row["abnormal"] and row["source_path"] == "preprocessed_images/3_right.jpg"
    assert fingerprint(odir / row["source_path"]) == row["source_hash"][:16]
    for path, checksum in zip(frame["path"], frame["checksum"], strict=True):
        assert zlib.crc32((tmp_path / "work" / path).read_bytes()) == checksum


def test_provenance(tmp_path: Path, odir: Path) -> None:
    provenance = read_provenance(prep.run(settings(tmp_path / "work", "odir", odir, seed=3)))
    assert provenance["settings"] == {
        "dataset": "odir",
        "size": 80,
        "seed": 3,
        "crop_to_field": False,
        "keywords": "released",
    }
    assert provenance["inputs"] == {"ODIR-5K/data.xlsx": fingerprint(odir / "ODIR-5K/data.xlsx")}
    assert provenance["counts"] == {"train": 32, "val": 8}


def test_measured_colour_is_that_of_the_prepared_pixels(tmp_path: Path) -> None:
    source = downloads.drive(tmp_path / "source", train=3, test=2)
    provenance = read_provenance(prep.run(settings(tmp_path / "work", "drive", source, size=0)))
    pixels = [images.read_image(path) for path in (tmp_path / "work/data/drive/images").iterdir()]
    levels = np.concatenate([image.reshape(-1, 3) for image in pixels]).astype(float)
    lit = levels[levels.max(axis=1) > 15]
    for prefix, values in (("", levels), ("fov_", lit)):
        np.testing.assert_allclose(provenance["colour"][f"{prefix}mean"], values.mean(axis=0) / 255, atol=1e-6)
        np.testing.assert_allclose(provenance["colour"][f"{prefix}std"], values.std(axis=0) / 255, atol=1e-6)
    assert provenance["colour"]["constant_mean"] == [0.3219, 0.2259, 0.1633]


def test_equal_bytes_in_any_folder_with_any_number_of_workers(tmp_path: Path, odir: Path) -> None:
    shutil.copytree(odir, tmp_path / "elsewhere/copy")
    (odir / "preprocessed_images/3_left.jpg").write_bytes(b"damaged")
    (tmp_path / "elsewhere/copy/preprocessed_images/3_left.jpg").write_bytes(b"damaged")
    prep.run(settings(tmp_path / "work", "odir", odir))
    prep.run(settings(tmp_path / "another/name", "odir", tmp_path / "elsewhere/copy", workers=2))
    assert contents(tmp_path / "work") == contents(tmp_path / "another/name")


def test_labels_in_another_order_give_the_same_manifest(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=range(10, 16))
    rows = (source / "trainLabels.csv").read_text().splitlines()
    plain = rows_of(prep.run(settings(tmp_path / "a", "eyepacs", source)))
    swapped = [",".join(row.split(",")[::-1]) + "\r\n" for row in [rows[0], *rows[:0:-1]]]
    (source / "trainLabels.csv").write_bytes(("\ufeff" + "".join(swapped)).encode())
    assert rows_of(prep.run(settings(tmp_path / "b", "eyepacs", source))).equals(plain)


def test_seed_moves_the_validation_split_alone(tmp_path: Path, odir: Path) -> None:
    first, second = (
        rows_of(prep.run(settings(tmp_path / str(seed), "odir", odir, seed=seed))).set_index("image_id")
        for seed in (0, 1)
    )
    assert (first["split"] != second.loc[first.index]["split"]).any()
    assert first.drop(columns="split").equals(second.loc[first.index].drop(columns="split"))


def test_published_splits_stay(tmp_path: Path) -> None:
    parts = {"Training": [1, 2, 3, 4, 5], "Off-site Test": [6], "On-site Test": [7, 8]}
    frame = rows_of(prep.run(settings(tmp_path, "odir", downloads.odir_official(tmp_path / "source", parts))))
    assert frame["split"].value_counts().to_dict() == {"train": 10, "test": 4, "val": 2}


def test_drive_masks_stay_aligned(tmp_path: Path) -> None:
    source = downloads.drive(tmp_path / "source", train=5, test=2, test_vessels=False)
    frame = rows_of(prep.run(settings(tmp_path, "drive", source, size=0)))
    assert frame["split"].value_counts().to_dict() == {"train": 4, "val": 1, "test": 2}
    assert frame["mask_path"].isna().tolist() == [False] * 5 + [True] * 2
    for row in frame.dropna(subset=["mask_path"]).itertuples():
        mask, view = images.read_mask(tmp_path / row.mask_path), images.read_mask(tmp_path / row.fov_path)
        assert mask.shape == view.shape == images.read_image(tmp_path / row.path).shape[:2] == (117, 113)
        assert set(np.unique(mask)) == set(np.unique(view)) == {0, 255}
    assert quarantine(tmp_path, "drive") == [(f"test/images/0{number}_test.tif", "no mask") for number in (1, 2)]
    with pytest.raises(UsageError, match="drive has pixel masks, which keep their own size: prepare it with --size 0"):
        prep.run(settings(tmp_path, "drive", source))


def test_lesion_masks(tmp_path: Path, odir: Path) -> None:
    lesions = tmp_path / "lesions"
    (lesions / "preprocessed_images").mkdir(parents=True)
    Image.new("L", (120, 100), 2).save(lesions / "preprocessed_images/4_left.png")
    frame = rows_of(prep.run(settings(tmp_path / "work", "odir", odir, lesion_masks=lesions)))
    paths = frame.set_index("image_id")["lesion_mask_path"]
    assert paths["4_left"] == "data/odir/masks/4_left_lesions.png" and paths.count() == 1
    assert images.read_mask(tmp_path / "work" / paths["4_left"]).shape == (100, 120)


def test_lesion_masks_are_counted_and_listed(tmp_path: Path, odir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lesions = tmp_path / "lesions"
    with pytest.raises(UsageError, match="lesion_masks: .*lesions is not a folder"):
        prep.run(settings(tmp_path / "work", "odir", odir, lesion_masks=lesions))
    (lesions / "preprocessed_images").mkdir(parents=True)
    Image.new("L", (120, 100), 2).save(lesions / "4_left.png")
    wanted = r"None of the 1 images in .*lesions is the lesion mask of a photograph: that of \S+\.jpg would be \S+\.png"
    with pytest.raises(SwclError, match=wanted):
        prep.run(settings(tmp_path / "work", "odir", odir, lesion_masks=lesions))
    Image.new("L", (120, 100), 2).save(lesions / "preprocessed_images/4_left.png")
    capsys.readouterr()
    prep.run(settings(tmp_path / "work", "odir", odir, lesion_masks=lesions))
    told = capsys.readouterr().err
    assert "odir: 1 of 40 photographs have a lesion mask; 1 lesion masks have no photograph." in told
    assert (
        "1 photographs used all the same, such as preprocessed_images/4_left.jpg: the lesion mask covers 100 %" in told
    )
    listed = quarantine(tmp_path / "work", "odir")
    assert ("4_left.png", "label without image") in listed
    assert ("preprocessed_images/4_left.jpg", "mask over most of the field") in listed


def test_masks_that_are_none_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for item, name in enumerate(("a.png", "b.png", "c.png")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    levels = np.zeros((100, 120), np.uint8)
    levels[40:50, 40:50], grey = 255, np.full((100, 120), 90, np.uint8)
    grey[0], grey[1] = 255, 0
    (tmp_path / "masks").mkdir()
    for name, mask in (("a", levels), ("b", grey), ("c", np.zeros_like(levels))):
        Image.fromarray(mask).save(tmp_path / f"masks/{name}.png")
    frame = rows_of(prep.run(settings(tmp_path, "folder", tmp_path / "source", size=0, masks=tmp_path / "masks")))
    assert frame.set_index("image_id")["mask_path"].notna().to_dict() == {"a": True, "c": True}
    assert not images.read_mask(tmp_path / "data/folder/masks/c_mask.png").any()
    told = "folder: 1 photographs set aside for their masks, such as b.png: 11,760 of the mask's pixels (98.0 %) are "
    told += "neither black nor white, most of them grey 90: --mask-edges nearest takes the nearer, --mask-classes names"
    assert f"warning: {told} structures." in capsys.readouterr().err


def test_duplicates_are_listed_and_grouped(tmp_path: Path, odir: Path) -> None:
    folder = odir / "preprocessed_images"
    shutil.copy(folder / "3_left.jpg", folder / "11_right.jpg")
    frame = rows_of(prep.run(settings(tmp_path / "work", "odir", odir))).set_index("image_id")
    assert set(frame["group_id"][["3_left", "3_right", "11_left", "11_right"]]) == {"11"}
    assert frame["split"]["3_left"] == frame["split"]["11_left"]
    with open(Workspace(tmp_path / "work").quarantine("odir")) as handle:
        assert handle.read().splitlines()[1:] == [
            "preprocessed_images/3_left.jpg,duplicate,"
            '"the same pixels as preprocessed_images/11_right.jpg; both are used, though their labels differ"'
        ]


def test_counts_that_differ_from_the_published_ones_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prep.run(settings(tmp_path / "work", "idrid", downloads.idrid(tmp_path / "source", train=10, test=3)))
    assert "10 of 413 in train, 3 of 103 in test" in capsys.readouterr().err


REAL = {
    "odir": ("ODIR-5K", 448, {"train": 640, "val": 160}, {"label without image": 6200}),
    "eyepacs": ("EyePACS", 448, {"train": 798}, {"cut off": 1, "empty": 1, "label without image": 87902}),
    "idrid": ("IDRiD", 350, {"train": 331, "val": 82, "test": 103}, {"duplicate": 6}),
    "drive": ("DRIVE", 0, {"train": 16, "val": 4, "test": 20}, {}),
    "stare": ("STARE", 0, {"train": 8, "val": 2, "test": 10}, {}),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="real photographs are not here (../shared/data)")
@pytest.mark.parametrize("dataset", REAL)
def test_real_photographs(tmp_path: Path, dataset: str) -> None:
    folder, size, splits, problems = REAL[dataset]
    path = prep.run(settings(tmp_path, dataset, SHARED / folder, size=size, workers=2))
    assert read_provenance(path)["counts"] == {**splits, **problems}


def test_columns_of_public_tables_without_use_are_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are known, hence no warning; those of several tables are one line."""
    prep.run(settings(tmp_path, "odir", downloads.odir_kaggle(tmp_path / "odir", {1: (NORMAL, NORMAL)})))
    official = downloads.odir_official(tmp_path / "official", {"Training": [1], "Off-site Test": [2]})
    prep.run(settings(tmp_path / "other", "odir", official))
    prep.run(settings(tmp_path, "eyepacs", downloads.eyepacs(tmp_path / "eyepacs", [1], [2])))
    prep.run(settings(tmp_path, "idrid", downloads.idrid(tmp_path / "idrid", 2, 1)))
    told = capsys.readouterr()
    assert [line for line in told.out.splitlines() if "not used" in line] == [
        "eyepacs: columns of its tables that are not used: 'Usage'.",
    ]
    assert "not used" not in told.err
