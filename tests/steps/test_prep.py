"""`prep` from raw download to manifest: equal bytes wherever it runs, damage set aside, repeating is free."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from swcl_cli.data import images, manifest, preparation
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
from swcl_cli.workspace import Workspace, fingerprint, read_provenance
from tests import downloads

NORMAL = "normal fundus"
SHARED = Path(__file__).parents[3] / "shared/data"


def settings(workspace: Path, dataset: str, source: Path, **values: Any) -> PrepSettings:
    return PrepSettings(
        **{"workspace": workspace, "dataset": dataset, "source": source, "size": 80, "workers": 0, **values}
    )


def contents(folder: Path) -> dict[str, bytes]:
    """All but the cache and the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def rows_of(path: Path) -> Any:
    """The manifest as a data frame; `Any`, since the stubs of pandas know no columns of ours."""
    return manifest.read(path)


def quarantine(workspace: Path, dataset: str) -> list[tuple[str, str]]:
    with open(Workspace(workspace).quarantine(dataset), encoding="utf-8", newline="") as handle:
        return [(row["source_path"], row["problem"]) for row in csv.DictReader(handle)]


@pytest.fixture
def odir(tmp_path: Path) -> Path:
    words = {patient: (NORMAL, "drusen" if patient % 2 else NORMAL) for patient in range(20)}
    return downloads.odir_kaggle(tmp_path / "source", words)


@pytest.fixture
def prepared_anew(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that are decoded, as they are."""
    names: list[str] = []

    def counting(job: preparation.Job, earlier: preparation.Outcome | None = None) -> preparation.Outcome:
        names.append(job.image_id)
        return original(job, earlier)

    original = preparation.prepare
    monkeypatch.setattr(preparation, "prepare", counting)
    return names


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


def test_provenance(tmp_path: Path, odir: Path) -> None:
    provenance = read_provenance(prep.run(settings(tmp_path / "work", "odir", odir, seed=3)))
    assert provenance["settings"] == {"dataset": "odir", "size": 80, "seed": 3}
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


def test_damaged_images_are_set_aside(tmp_path: Path, odir: Path) -> None:
    folder = odir / "preprocessed_images"
    data = (folder / "0_left.jpg").read_bytes()
    (folder / "0_left.jpg").write_bytes(data[: len(data) // 2])
    (folder / "1_left.jpg").write_bytes(b"<html>")
    Image.new("RGB", (120, 100), (3, 2, 1)).save(folder / "2_left.jpg")
    Image.new("RGB", (40, 40), (200, 90, 20)).save(folder / "3_left.jpg")
    (folder / "4_left.jpg").write_bytes(b"")
    (folder / "5_left.jpg").unlink()
    frame = rows_of(prep.run(settings(tmp_path / "work", "odir", odir)))
    assert len(frame) == 34
    listed = [(f"preprocessed_images/{item}_left.jpg", problem) for item, problem in enumerate(
        ["truncated", "not an image", "empty", "too small", "not an image", "label without image"]
    )]  # fmt: skip
    assert quarantine(tmp_path / "work", "odir") == listed


def test_duplicates_are_listed_and_grouped(tmp_path: Path, odir: Path) -> None:
    folder = odir / "preprocessed_images"
    shutil.copy(folder / "3_left.jpg", folder / "11_right.jpg")
    frame = rows_of(prep.run(settings(tmp_path / "work", "odir", odir))).set_index("image_id")
    assert set(frame["group_id"][["3_left", "3_right", "11_left", "11_right"]]) == {"11"}
    assert frame["split"]["3_left"] == frame["split"]["11_left"]
    with open(Workspace(tmp_path / "work").quarantine("odir")) as handle:
        assert handle.read().splitlines()[1:] == [
            "preprocessed_images/3_left.jpg,duplicate,"
            '"the same bytes as preprocessed_images/11_right.jpg; both are used, though their labels differ"'
        ]


def test_repeating_is_free(tmp_path: Path, odir: Path, prepared_anew: list[str]) -> None:
    options = settings(tmp_path / "work", "odir", odir)
    prep.run(options)
    before = contents(tmp_path / "work")
    assert len(prepared_anew) == 40
    prepared_anew.clear()
    prep.run(options)
    assert not prepared_anew and contents(tmp_path / "work") == before

    (tmp_path / "work/data/odir/.journal.jsonl").unlink()
    prep.run(options)
    assert len(prepared_anew) == 40 and contents(tmp_path / "work") == before


def test_only_what_changed_is_prepared(tmp_path: Path, odir: Path, prepared_anew: list[str]) -> None:
    options = settings(tmp_path / "work", "odir", odir)
    prep.run(options)
    prepared_anew.clear()
    downloads.write_photograph(odir / "preprocessed_images/3_left.jpg", 77)
    (tmp_path / "work/data/odir/images/4_left.jpg").write_bytes(b"tampered")
    prep.run(options)
    assert sorted(prepared_anew) == ["3_left", "4_left"]
    after = contents(tmp_path / "work")
    prep.run(settings(tmp_path / "fresh", "odir", odir))
    assert after == contents(tmp_path / "fresh")


def test_removed_images_leave_manifest_and_disk(tmp_path: Path, odir: Path) -> None:
    options = settings(tmp_path / "work", "odir", odir)
    prep.run(options)
    (odir / "preprocessed_images/3_left.jpg").unlink()
    (tmp_path / "work/data/odir/images/.9_left.jpg.123.partial").write_bytes(b"left by a kill")
    prep.run(options)
    prep.run(settings(tmp_path / "fresh", "odir", odir))
    assert contents(tmp_path / "work") == contents(tmp_path / "fresh")
    assert len(list((tmp_path / "work/data/odir/images").iterdir())) == 39


def test_another_size_replaces_everything(tmp_path: Path, odir: Path) -> None:
    prep.run(settings(tmp_path / "work", "odir", odir))
    prep.run(settings(tmp_path / "work", "odir", odir, size=0))
    prep.run(settings(tmp_path / "fresh", "odir", odir, size=0))
    assert contents(tmp_path / "work") == contents(tmp_path / "fresh")


RUN = """
import sys
from pathlib import Path
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
workspace, source, workers = sys.argv[1:]
prep.run(PrepSettings(workspace=Path(workspace), dataset="odir", source=Path(source), size=80, workers=int(workers)))
"""


def test_killed_runs_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    source = downloads.odir_kaggle(tmp_path / "source", dict.fromkeys(range(60), (NORMAL, NORMAL)))
    folder = tmp_path / "work/data/odir"
    command = [sys.executable, "-c", RUN, str(tmp_path / "work"), str(source), "2"]
    for wanted in (1, 30, 70):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and len(list((folder / "images").glob("*.jpg"))) < wanted:
                time.sleep(0.002)
            process.kill()
        assert not (folder / "manifest.parquet").exists() or process.returncode == 0
    prep.run(settings(tmp_path / "work", "odir", source))
    prep.run(settings(tmp_path / "fresh", "odir", source))
    assert contents(tmp_path / "work") == contents(tmp_path / "fresh")


def test_no_manifest_tells_of_images_that_are_changing(
    tmp_path: Path, odir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = prep.run(settings(tmp_path / "work", "odir", odir))

    def stop(*_: object, **__: object) -> None:
        raise SwclError("stopped")

    monkeypatch.setattr(preparation, "save", stop)
    with pytest.raises(SwclError, match="stopped"):
        prep.run(settings(tmp_path / "work", "odir", odir, size=90))
    assert not path.exists()


def test_source_is_never_touched(tmp_path: Path, odir: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in odir.rglob("*")}
    prep.run(settings(tmp_path / "work", "odir", odir, workers=1))
    assert before == {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in odir.rglob("*")}
    with pytest.raises(SwclError, match=r"lies in .*, where prepared images go"):
        prep.run(settings(tmp_path / "work", "odir", tmp_path / "work/data/odir"))


def test_bad_labels_stop_before_anything_is_written(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=[10])
    (source / "trainLabels.csv").write_text("image,level\n10_left,9\n")
    with pytest.raises(SwclError, match=r"trainLabels\.csv, row 2, column 'level': 9 is not in 0 to 4"):
        prep.run(settings(tmp_path / "work", "eyepacs", source))
    assert not (tmp_path / "work").exists()


def test_nothing_usable_stops(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=[10])
    for path in (source / "train").iterdir():
        path.write_bytes(b"")
    with pytest.raises(SwclError, match=r"None of 2 photographs can be used: see .*quarantine\.csv"):
        prep.run(settings(tmp_path / "work", "eyepacs", source))
    assert len(quarantine(tmp_path / "work", "eyepacs")) == 2
    for path in (source / "train").iterdir():
        path.unlink()
    with pytest.raises(SwclError, match="holds no photograph that a label names; 2 label without image"):
        prep.run(settings(tmp_path / "work", "eyepacs", source))


def test_counts_that_differ_from_the_published_ones_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prep.run(settings(tmp_path / "work", "idrid", downloads.idrid(tmp_path / "source", train=10, test=3)))
    assert "10 of 413 in train, 3 of 103 in test" in capsys.readouterr().err


def test_phantom_eyes_go_the_same_way(tmp_path: Path) -> None:
    options = PrepSettings(workspace=tmp_path, dataset="phantom", size=96, patients=8, drawn_size=96, workers=0)
    assert prep.run(options) == tmp_path / "data"
    work = Workspace(tmp_path)
    frames = {name: rows_of(work.manifest(name)) for name in ("odir", "eyepacs", "idrid", "drive")}
    assert {name: len(frame) for name, frame in frames.items()} == {"odir": 16, "eyepacs": 32, "idrid": 10, "drive": 10}
    assert {name: frame["height"].min() for name, frame in frames.items()} == {
        "odir": 96, "eyepacs": 96, "idrid": 75, "drive": 584,
    }  # fmt: skip
    assert all(frames[name]["lesion_mask_path"].notna().all() for name in ("odir", "eyepacs", "idrid"))
    drawn = {path: path.stat().st_mtime_ns for path in (tmp_path / "phantom").rglob("[!.]*.*")}
    prep.run(options)
    assert len(drawn) > 100 and drawn == {path: path.stat().st_mtime_ns for path in drawn}
    with pytest.raises(
        SwclError, match=r"holds something else than this drawing .*: remove it, or name another SOURCE"
    ):
        prep.run(options.model_copy(update={"seed": 1}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    with pytest.raises(SwclError, match="holds something else"):
        prep.run(options.model_copy(update={"source": tmp_path / "mine"}))
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {".lock", "thesis.tex"}


REAL = {
    "odir": ("ODIR-5K", 448, {"train": 640, "val": 160}, {"label without image": 6200}),
    "eyepacs": ("EyePACS", 448, {"train": 798}, {"cut off": 1, "empty": 1, "label without image": 87902}),
    "idrid": ("IDRiD", 350, {"train": 331, "val": 82, "test": 103}, {"duplicate": 6}),
    "drive": ("DRIVE", 0, {"train": 16, "val": 4, "test": 20}, {}),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="real photographs are not here (../shared/data)")
@pytest.mark.parametrize("dataset", REAL)
def test_real_photographs(tmp_path: Path, dataset: str) -> None:
    folder, size, splits, problems = REAL[dataset]
    path = prep.run(settings(tmp_path, dataset, SHARED / folder, size=size, workers=2))
    assert read_provenance(path)["counts"] == {**splits, **problems}
