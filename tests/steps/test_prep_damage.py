"""Every data set's download, six photographs of it damaged: they are listed, the others are prepared, and once they are
whole again nothing tells of the damage.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from swcl_cli.datasets import DATASETS
from swcl_cli.datasets.stare import TRAIN
from swcl_cli.steps import prep
from tests import downloads
from tests.prep_runs import contents, quarantine, rows_of, settings


def own_photographs(source: Path) -> Path:
    for item in range(12):
        downloads.write_photograph(source / f"clinic{item % 2}/{item}.jpg", item)
    return source


SOURCES: dict[str, Callable[[Path], Path]] = {
    "odir": lambda source: downloads.odir_official(source, {"Training": range(1, 6), "On-site Test": [8]}),
    "eyepacs": lambda source: downloads.eyepacs(source, range(10, 14), [1, 2]),
    "messidor": lambda source: downloads.messidor(source, {"Base11": [f"a{item}" for item in range(12)]}),
    "idrid": lambda source: downloads.idrid(source, 9, 3),
    "refuge-cls": lambda source: downloads.refuge(source, "challenge"),
    "refuge-seg": lambda source: downloads.refuge(source, "second"),
    "drive": lambda source: downloads.drive(source, 8, 4),
    "stare": lambda source: downloads.stare(source, [*sorted(TRAIN), "im0162", "im0163"]),
    "chase-db1": lambda source: downloads.chase(source, range(1, 7)),
    "idrid-seg": lambda source: downloads.idrid_seg(source, range(1, 9), range(55, 58)),
    "folder": own_photographs,
}


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def dark(path: Path) -> None:
    path.write_bytes(downloads.encoded(Image.new("RGB", (120, 100), (3, 2, 1)), "PNG"))


def tiny(path: Path) -> None:
    path.write_bytes(downloads.encoded(Image.new("RGB", (40, 40), (200, 90, 20)), "PNG"))


@functools.cache
def bomb() -> bytes:
    return downloads.encoded(Image.new("1", (30_000, 30_000)), "PNG")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": cut,
    "not an image": lambda path: path.write_bytes(b"<html>"),
    "empty": dark,
    "too small": tiny,
    "too large": lambda path: path.write_bytes(bomb()),
}


@pytest.mark.parametrize("dataset", SOURCES)
def test_damaged_photographs(tmp_path: Path, dataset: str) -> None:
    source = SOURCES[dataset](tmp_path / "source")
    shutil.copytree(source, tmp_path / "whole")
    options = settings(
        tmp_path / "work", dataset, source, size=0 if dataset in {"drive", "stare", "chase-db1", "idrid-seg"} else 80
    )
    photographs = sorted(DATASETS[dataset].read(source).photographs, key=lambda photograph: photograph.path)
    damaged = dict(zip([photograph.path for photograph in photographs], [*DAMAGES, "refused"], strict=False))
    for path, problem in damaged.items():
        if problem in DAMAGES:
            DAMAGES[problem](source / path)
        else:
            (source / path).rename(tmp_path / "outside")
            (source / path).symlink_to(tmp_path / "outside")
    folder = Path(photographs[0].path).parent
    (source / folder / os.fsdecode(b"caf\xe9.jpg")).touch()
    damaged[(folder / "caf\\xe9.jpg").as_posix()] = "refused"

    frame = rows_of(prep.run(options))
    assert sorted(frame["source_path"]) == sorted({photograph.path for photograph in photographs} - damaged.keys())
    listed = quarantine(tmp_path / "work", dataset)
    assert set(damaged.items()) <= set(listed)
    assert {problem for path, problem in listed if path not in damaged} <= {"label without image"}
    assert len(list((tmp_path / "work/data" / dataset / "images").iterdir())) == len(frame) == len(photographs) - 6

    shutil.rmtree(source)
    shutil.copytree(tmp_path / "whole", source)
    assert len(rows_of(prep.run(options))) == len(photographs)
    prep.run(options.model_copy(update={"workspace": tmp_path / "fresh"}))
    assert contents(tmp_path / "work") == contents(tmp_path / "fresh")
