"""`prep` and bad input: one clear line, nothing half-written is taken for whole, the source is untouched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from swcl_cli.chance import generator
from swcl_cli.errors import SwclError
from swcl_cli.steps import prep
from tests import downloads
from tests.prep_runs import contents, odir_source, quarantine, rows_of, settings


@pytest.fixture
def odir(tmp_path: Path) -> Path:
    return odir_source(tmp_path / "source")


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
    listed = [
        (f"preprocessed_images/{item}_left.jpg", problem)
        for item, problem in enumerate(
            ["truncated", "not an image", "empty", "too small", "not an image", "label without image"]
        )
    ]
    assert quarantine(tmp_path / "work", "odir") == listed


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


def test_unreadable_folders_are_named(tmp_path: Path, odir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.scandir
    closed = odir / "preprocessed_images"

    def refusing(folder: Path) -> Iterator[os.DirEntry[str]]:
        if Path(folder) == closed:
            raise PermissionError(13, "Permission denied")
        return original(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(SwclError, match=r"preprocessed_images can't be read: Permission denied"):
        prep.run(settings(tmp_path / "work", "odir", odir))
    closed = odir
    with pytest.raises(SwclError, match=r"source can't be read: Permission denied"):
        prep.run(settings(tmp_path / "work", "odir", odir))
    assert not (tmp_path / "work").exists()


def test_bombs_and_names_that_are_not_utf8_are_set_aside(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for item in range(8):
        downloads.write_photograph(source / f"a/{item}.jpg", item)
    (source / "a/bomb.png").write_bytes(downloads.encoded(Image.new("1", (30_000, 30_000)), "PNG"))
    shutil.copy(source / "a/1.jpg", source / os.fsdecode(b"a/caf\xe9.jpg"))
    (source / os.fsdecode(b"caf\xe9")).mkdir()
    frame = rows_of(prep.run(settings(tmp_path / "work", "folder", source)))
    assert len(frame) == 8
    assert quarantine(tmp_path / "work", "folder") == [
        ("a/bomb.png", "too large"),
        ("a/caf\\xe9.jpg", "refused"),
        ("caf\\xe9", "refused"),
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that makes a disk of the given size, and then changes that size."""
    place = tmp_path / "disk"
    place.mkdir()

    def resize(size: str) -> Path:
        remount = ["remount"] if place.is_mount() else []
        options = ",".join([*remount, f"size={size}"])
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("this user can't mount a small disk")
        return place

    yield resize
    if place.is_mount():
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_stops_and_a_larger_one_goes_on(
    tmp_path: Path, odir: Path, small_disk: Callable[[str], Path], workers: int
) -> None:
    disk = small_disk("100k")
    with pytest.raises(SwclError, match="No space left on device"):
        prep.run(settings(disk / "work", "odir", odir, workers=workers))
    images = list((disk / "work/data/odir/images").glob("[!.]*"))
    assert 0 < len(images) < 40
    for image in images:
        with Image.open(image) as whole:
            whole.load()
    assert not (disk / "work/data/odir/manifest.parquet").exists()
    small_disk("16m")
    prep.run(settings(disk / "work", "odir", odir, workers=workers))
    prep.run(settings(tmp_path / "fresh", "odir", odir))
    assert contents(disk / "work") == contents(tmp_path / "fresh")


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs")
def test_a_disk_that_is_full_for_the_manifest(tmp_path: Path, odir: Path, small_disk: Callable[[str], Path]) -> None:
    work = small_disk("16m") / "work"
    path = prep.run(settings(work, "odir", odir))
    before = path.read_bytes()
    path.unlink()
    used = shutil.disk_usage(work).used
    small_disk(f"{used // 4096 * 4 + 4}k")  # a page is left, the manifest needs more
    with pytest.raises(SwclError, match=r"(quarantine\.csv|manifest\.parquet) could not be written: .*[Nn]o space"):
        prep.run(settings(work, "odir", odir))
    assert not path.exists() and not list(work.rglob("*.partial"))
    small_disk("16m")
    assert prep.run(settings(work, "odir", odir)).read_bytes() == before


# By data set: how its download is made, one of its tables, the column that must not repeat, and that of file names.
TABLES: dict[str, tuple[Callable[[Path], Path], str, str, str]] = {
    "odir": (
        lambda source: downloads.odir_official(source, {"Training": range(1, 9), "On-site Test": [9]}),
        "Training Set/Annotation/training annotation (English).xlsx", "ID", "Left-Fundus",
    ),
    "eyepacs": (lambda source: downloads.eyepacs(source, range(10, 16)), "trainLabels.csv", "image", "image"),
    "messidor": (
        lambda source: downloads.messidor(source, {"Base11": [f"a{item}" for item in range(8)]}),
        "Annotation_Base11.xlsx", "Image name", "Image name",
    ),
    "idrid": (
        lambda source: downloads.idrid(source, 8, 2),
        "B. Disease Grading/2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv", "Image name", "Image name",
    ),
    "refuge-cls": (
        lambda source: downloads.refuge(source, "challenge"),
        "REFUGE-Validation400-GT/Fovea_locations.xlsx", "ImgName", "ImgName",
    ),
}  # fmt: skip


def read(table: Path) -> list[list[str]]:
    if table.suffix == ".xlsx":
        frame = pd.read_excel(table, engine="calamine", header=None, dtype=str, keep_default_na=False)
    else:
        frame = pd.read_csv(table, header=None, dtype=str, keep_default_na=False)
    return [list(map(str, row)) for row in frame.itertuples(index=False)]


def write(table: Path, rows: list[list[str]], **how: str) -> None:
    if table.suffix == ".xlsx":
        pd.DataFrame(rows).to_excel(table, header=False, index=False)
    else:
        downloads.write_csv(table, rows, **how)


@pytest.mark.parametrize("dataset", TABLES)
def test_shuffled_tables_give_the_same_manifest(tmp_path: Path, dataset: str) -> None:
    make, name, _, _ = TABLES[dataset]
    source = make(tmp_path / "source")
    plain = rows_of(prep.run(settings(tmp_path / "a", dataset, source)))
    header, *rows = read(source / name)
    chance = generator(0, "shuffled table")
    columns = chance.permutation(len(header)).tolist()
    shuffled = [rows[row] for row in chance.permutation(len(rows)).tolist()]
    write(
        source / name,
        [[row[column] for column in columns] for row in (header, *shuffled)],
        ending="\r\n",
        start="\ufeff",
    )
    assert rows_of(prep.run(settings(tmp_path / "b", dataset, source))).equals(plain)


DAMAGES = ("missing", "renamed", "repeated header", "doubled", "leads out", "empty")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("dataset", TABLES)
def test_damaged_tables_stop_with_one_clear_line(tmp_path: Path, dataset: str, damage: str) -> None:
    make, name, key, file_column = TABLES[dataset]
    source = make(tmp_path / "source")
    table = source / name
    header, *rows = read(table)
    place, file_place = header.index(key), header.index(file_column)
    expected = rf"{table.stem.replace('(', '.').replace(')', '.')}.*"
    if damage == "missing":
        table.unlink()
        expected = r"is missing|no table with ImgName"
    elif damage == "renamed":
        write(table, [[*header[:place], "other", *header[place + 1 :]], *rows])
        expected = rf"column '{key}' is missing|no table with ImgName"
    elif damage == "repeated header":
        write(table, [header, *rows, header])
        expected += f"row {len(rows) + 2}: repeats the header of row 1"
    elif damage == "doubled":
        write(table, [header, *rows, rows[0]])
        expected += f"row {len(rows) + 2}, column '{key}': .* stands in row 2 already"
    elif damage == "leads out":
        rows[1][file_place] = f"../{rows[1][file_place]}"
        write(table, [header, *rows])
        expected += f"row 3, column '{file_column}': .* is not "
    elif damage == "empty":
        write(table, [header])
        expected += "has no rows below its header"
    with pytest.raises(SwclError, match=expected) as caught:
        prep.run(settings(tmp_path / "work", dataset, source))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "work").exists()
