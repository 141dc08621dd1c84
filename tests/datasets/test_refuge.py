"""REFUGE in its three packagings, as two data sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swcl_cli.data import images, manifest
from swcl_cli.datasets import refuge_cls, refuge_seg
from swcl_cli.datasets.download import Download
from swcl_cli.errors import SwclError
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
from tests import downloads
from tests.downloads import REFUGE_LABELS, REFUGE_PARTS

PACKAGINGS = tuple(downloads.REFUGE_FOLDERS)


def problems(download: Download) -> list[tuple[str, str]]:
    return sorted((problem.source_path, problem.problem) for problem in download.problems)


@pytest.fixture(params=PACKAGINGS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return downloads.refuge(tmp_path / "source", request.param)


def test_every_packaging_gives_the_same_photographs(source: Path) -> None:
    classes, masked = refuge_cls.read(source), refuge_seg.read(source)
    for download in (classes, masked):
        assert {row.image_id: (row.split, row.labels.get("glaucoma")) for row in download.photographs} == {
            stem: (REFUGE_PARTS[stem[0]], bool(label)) for stem, label in REFUGE_LABELS.items()
        }
        assert not download.problems and not download.draw_validation
        assert download.labelled == {"train": 3, "val": 2, "test": 2}
    assert {row.mask for row in classes.photographs} == {None}
    assert all(row.mask and row.mask.endswith(f"{row.image_id}.bmp") for row in masked.photographs)


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_photographs_may_be_png_beside_masks_of_png(mode: str, source: Path) -> None:
    for path in [*source.rglob("*.jpg"), *source.rglob("*.bmp")]:
        with Image.open(path) as image:
            image.convert(mode if path.suffix == ".bmp" else "RGB").save(path.with_suffix(".png"))
        path.unlink()
    photographs = refuge_seg.read(source).photographs
    assert {row.image_id for row in photographs} == REFUGE_LABELS.keys()
    for row in photographs:
        assert row.mask
        with Image.open(source / row.path) as image, Image.open(source / row.mask) as mask:
            assert image.mode == "RGB" and mask.mode == mode


def test_grey_png_is_a_mask_wherever_it_lies(tmp_path: Path) -> None:
    source = downloads.refuge(tmp_path, "index")
    for path in [*source.rglob("*.jpg"), *source.rglob("*.bmp")]:
        with Image.open(path) as image:
            image.save(path.with_suffix(".png"))
        path.unlink()
    for split in ("train", "val", "test"):
        (source / split / "seg").rename(source / split / "second")
    for row in refuge_seg.read(source).photographs:
        assert row.mask and "/second/" in row.mask and "/images/" in row.path


def test_segmentation_squares_photographs_and_keeps_masks(tmp_path: Path, source: Path) -> None:
    path = prep.run(PrepSettings(workspace=tmp_path, dataset="refuge-seg", source=source, size=96, workers=0))
    frame = manifest.read(path)
    assert set(zip(frame["width"], frame["height"], strict=True)) == {(96, 96)}
    for mask_path in frame["mask_path"]:
        np.testing.assert_array_equal(images.read_mask(tmp_path / mask_path), downloads.disc_and_cup())
    path = prep.run(PrepSettings(workspace=tmp_path, dataset="refuge-cls", source=source, size=96, workers=0))
    frame = manifest.read(path)
    assert set(zip(frame["width"], frame["height"], strict=True)) == {(99, 96)}
    assert frame["mask_path"].isna().all() and frame["glaucoma"].sum() == 3


def test_what_does_not_fit_together(tmp_path: Path) -> None:
    source = downloads.refuge(tmp_path, "challenge")
    (source / "REFUGE-Validation400/V0002.jpg").unlink()
    (source / "REFUGE-Test-GT/Disc_Cup_Masks/G/T0001.bmp").unlink()
    (source / "Annotation-Training400/Disc_Cup_Masks/Non-Glaucoma/n0002.bmp").unlink()
    downloads.write_photograph(source / "Test400/T0003.jpg", 3)
    downloads.write_photograph(source / "REFUGE2-Validation/V0401.jpg", 4)
    assert problems(refuge_cls.read(source)) == [
        ("REFUGE2-Validation/V0401.jpg", "image without label"),
        ("Test400/T0003.jpg", "image without label"),
        ("V0002.jpg", "label without image"),
    ]
    masked = refuge_seg.read(source)
    assert problems(masked) == [
        ("REFUGE-Validation400-GT/Disc_Cup_Masks/V0002.bmp", "label without image"),
        ("REFUGE2-Validation/V0401.jpg", "image without label"),
        ("Test400/T0001.jpg", "no mask"),
        ("Test400/T0003.jpg", "no mask"),
        ("Training400/Non-Glaucoma/n0002.jpg", "image without label"),
    ]
    assert {row.image_id: row.mask is None for row in masked.photographs if row.split == "test"} == {
        "T0001": True,
        "T0002": False,
        "T0003": True,
    }


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (2, r"Fovea_locations\.xlsx, row 2, column 'Glaucoma Label': 2 is not in 0 to 1"),
        ("yes", r"row 2, column 'Glaucoma Label': 'yes' is not a whole number"),
        (None, r"row 2, column 'Glaucoma Label': is empty"),
    ],
)
def test_bad_labels_stop(tmp_path: Path, label: object, message: str) -> None:
    source = downloads.refuge(tmp_path, "challenge")
    table = source / "REFUGE-Validation400-GT/Fovea_locations.xlsx"
    downloads.write_xlsx(table, [[1, "V0001.jpg", label]], ("ID", "ImgName", "Glaucoma Label"))
    with pytest.raises(SwclError, match=message):
        refuge_cls.read(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "index.json is not an index of REFUGE"),
        ('{"0": {"Label": 1}}', "index.json is not an index of REFUGE: KeyError 'ImgName'"),
        ('{"0": {"ImgName": "V0001.jpg", "Label": 3}}', "index.json, V0001: Label 3 is neither 0 nor 1"),
    ],
)
def test_bad_index_stops(tmp_path: Path, text: str, message: str) -> None:
    source = downloads.refuge(tmp_path, "index")
    (source / "val/index.json").write_text(text)
    with pytest.raises(SwclError, match=message):
        refuge_cls.read(source)


def test_contradictions_stop(tmp_path: Path) -> None:
    source = downloads.refuge(tmp_path, "index")
    (source / "index.json").write_text(json.dumps({"0": {"ImgName": "V0001.jpg", "Label": 1}}))
    with pytest.raises(SwclError, match="V0001: index.json of val contradicts index.json of .* on glaucoma"):
        refuge_cls.read(source)
    (source / "index.json").unlink()
    downloads.write_photograph(source / "copy/V0001.jpg", 1)
    with pytest.raises(SwclError, match=r"holds V0001 twice: copy/V0001\.jpg and val/images/V0001\.jpg"):
        refuge_seg.read(source)


def test_another_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match=r"does not look like a download of REFUGE\.\nLooked for: "):
        refuge_cls.read(tmp_path)
