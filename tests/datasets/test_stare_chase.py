"""STARE and CHASE_DB1: layouts, observers, splits, and what does not fit together."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from swcl_cli.data import manifest
from swcl_cli.datasets import chase_db1, stare
from swcl_cli.datasets.download import Download
from swcl_cli.errors import SwclError
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
from swcl_cli.workspace import read_provenance
from tests import downloads

STARE = ("im0001", "im0139", "im0162", "im0324")


def problems(download: Download) -> list[tuple[str, str]]:
    return sorted((problem.source_path, problem.problem) for problem in download.problems)


@pytest.mark.parametrize("flat", [False, True])
def test_stare_layouts_and_split(tmp_path: Path, flat: bool) -> None:
    download = stare.read(downloads.stare(tmp_path, STARE, flat))
    assert [(row.image_id, row.patient_id, row.split) for row in download.photographs] == [
        ("im0001", "im0001", "train"),
        ("im0139", "im0139", "train"),
        ("im0162", "im0162", "test"),
        ("im0324", "im0324", "test"),
    ]
    first = download.photographs[0]
    assert (first.path, first.mask) == (
        ("im0001.ppm.gz", "im0001.ah.ppm.gz") if flat else ("stare-images/im0001.ppm.gz", "labels-ah/im0001.ah.ppm.gz")
    )
    assert first.fov is None and not download.problems and download.draw_validation


def test_stare_from_the_folder_above(tmp_path: Path) -> None:
    downloads.stare(tmp_path / "STARE", STARE)
    assert stare.read(tmp_path).photographs[0].path == "STARE/stare-images/im0001.ppm.gz"


@pytest.mark.parametrize("flat", [False, True])
def test_stare_what_does_not_fit_together(tmp_path: Path, flat: bool) -> None:
    source = downloads.stare(tmp_path, STARE, flat)
    images, masks = (source, source) if flat else (source / "stare-images", source / "labels-ah")
    (masks / "im0001.ah.ppm.gz").unlink()
    (masks / "im0162.ah.ppm.gz").unlink()
    (images / "im0324.ppm.gz").unlink()
    (images / "list.txt").touch()
    download = stare.read(source)
    assert [row.image_id for row in download.photographs] == ["im0139", "im0162"]
    prefixes = ("", "") if flat else ("stare-images/", "labels-ah/")
    assert problems(download) == sorted(
        [
            (f"{prefixes[0]}im0001.ppm.gz", "image without label"),
            (f"{prefixes[0]}im0162.ppm.gz", "no mask"),
            (f"{prefixes[0]}list.txt", "image without label"),
            (f"{prefixes[1]}im0324.ah.ppm.gz", "label without image"),
        ]
    )


def test_stare_damage_is_set_aside(tmp_path: Path) -> None:
    source = downloads.stare(tmp_path / "source", [*STARE, "im0002", "im0003", "im0004"])
    images = source / "stare-images"
    whole = (images / "im0002.ppm.gz").read_bytes()
    (images / "im0002.ppm.gz").write_bytes(whole[: len(whole) // 2])
    (images / "im0003.ppm.gz").write_bytes(gzip.compress(b"P6\n20000 20000\n255\n" + bytes(1000)))
    (source / "labels-ah/im0004.ah.ppm.gz").write_bytes(
        gzip.compress(downloads.encoded(downloads.vessels(50, 40), "PPM"))
    )
    settings = PrepSettings(workspace=tmp_path, dataset="stare", source=source, size=0, workers=0)
    path = prep.run(settings)
    assert len(manifest.read(path)) == 4
    assert read_provenance(path)["counts"] == {
        "train": 2,
        "test": 2,
        "truncated": 1,
        "too large": 1,
        "too small": 1,
    }


def test_chase_children_stay_together(tmp_path: Path) -> None:
    source = downloads.chase(tmp_path / "CHASE", range(1, 15))
    for place in (source, tmp_path):
        download = chase_db1.read(place)
        assert download.labelled == download.published == {"train": 20, "test": 8}
        assert {row.patient_id for row in download.photographs if row.split == "test"} == {"11", "12", "13", "14"}
    other = chase_db1.read(source, "8/20")
    assert other.labelled == other.published == {"train": 8, "test": 20}
    assert {row.patient_id for row in other.photographs if row.split == "train"} == {"01", "02", "03", "04"}
    first = other.photographs[0]
    assert (first.image_id, first.eye, first.path) == ("Image_01L", "left", "Image_01L.jpg")
    assert first.mask == "Image_01L_1stHO.png" and not other.problems


def test_chase_what_does_not_fit_together(tmp_path: Path) -> None:
    source = downloads.chase(tmp_path, (1, 2))
    (source / "Image_01L_1stHO.png").unlink()
    (source / "Image_02R.jpg").unlink()
    (source / "readme.txt").touch()
    download = chase_db1.read(source)
    assert [row.image_id for row in download.photographs] == ["Image_01R", "Image_02L"]
    assert problems(download) == [
        ("Image_01L.jpg", "image without label"),
        ("Image_02R_1stHO.png", "label without image"),
        ("readme.txt", "image without label"),
    ]


def test_chase_is_prepared_with_its_masks(tmp_path: Path) -> None:
    source = downloads.chase(tmp_path / "source", range(1, 15))
    path = prep.run(PrepSettings(workspace=tmp_path, dataset="chase-db1", source=source, size=0, workers=0))
    frame = manifest.read(path)
    assert frame["split"].value_counts().to_dict() == {"train": 16, "val": 4, "test": 8}
    assert frame.groupby("patient_id")["split"].nunique().max() == 1
    assert frame["mask_path"].notna().all() and frame["fov_path"].isna().all()


@pytest.mark.parametrize("read", [stare.read, chase_db1.read])
def test_another_folder_says_what_was_looked_for(tmp_path: Path, read: object) -> None:
    assert callable(read)
    downloads.write_photograph(tmp_path / "holiday.jpg", 1)
    with pytest.raises(SwclError, match=r"does not look like a download of .*\nLooked for: "):
        read(tmp_path)
