"""Photographs that nobody prepared: found by unique names, and prepared as `prep` would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swcl_cli.datasets.names import IMAGE_SUFFIXES
from swcl_cli.errors import SwclError
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.photograph import encode, prepare_photograph
from swcl_cli.preparation.unprepared import SUFFIXES, Form, find_photographs, read_at_own_size, read_unprepared
from tests import downloads

FORM = Form(size=80, square=False, crop_to_field=False, lossless=False)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def names(root: Path, *given: str) -> dict[str, str]:
    found = find_photographs([root / name for name in given], root / "out")
    return {name: path.relative_to(root).as_posix() for name, path in found.items()}


def test_suffixes_are_those_of_the_downloads() -> None:
    assert set(SUFFIXES) == IMAGE_SUFFIXES


def test_a_folder_is_searched(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a/x.png", "a/y.ppm.gz", "notes.txt", ".hidden.png", ".cache/z.png", "out/masks/b.png")
    assert names(tmp_path, ".") == {"b": "b.JPG", "a/x": "a/x.png", "a/y": "a/y.ppm.gz"}


def test_files_are_taken_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png", "b/x.png", "b/odd.dat")
    assert names(tmp_path, "a/x.png") == {"x": "a/x.png"}
    assert names(tmp_path, "b/odd.dat", "a/x.png") == {"b/odd": "b/odd.dat", "a/x": "a/x.png"}
    assert names(tmp_path, "b", "b/x.png", "b") == {"x": "b/x.png"}


def test_names_are_unique(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png", "a/x.jpg", "b/x.png")
    assert names(tmp_path, "a", "b") == {"a/x.jpg": "a/x.jpg", "a/x.png": "a/x.png", "b/x": "b/x.png"}
    assert names(tmp_path, "a", "a/x.png") == {"x.jpg": "a/x.jpg", "x.png": "a/x.png"}


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="gone does not exist"):
        find_photographs([tmp_path / "gone"], tmp_path / "out")
    with pytest.raises(SwclError, match="holds no photographs: looked for .bmp"):
        find_photographs([tmp_path], tmp_path / "out")


@pytest.mark.parametrize("lossless", [True, False])
def test_prepared_as_prep_does(tmp_path: Path, lossless: bool) -> None:
    downloads.write_photograph(tmp_path / "x.png", 1, width=240, height=200)
    form = Form(size=80, square=False, crop_to_field=False, lossless=lossless)
    image, own = read_unprepared(tmp_path / "x.png", form)
    made = prepare_photograph((tmp_path / "x.png").read_bytes(), 80)[0]
    (tmp_path / "prepared").write_bytes(encode(made, lossless))
    np.testing.assert_array_equal(image, np.asarray(Image.open(tmp_path / "prepared")))
    assert own == (240, 200) and image.shape == (80, 96, 3) and image.dtype == np.uint8


def test_squares_and_fields(tmp_path: Path) -> None:
    downloads.write_photograph(tmp_path / "x.png", 1, width=240, height=200)
    assert read_unprepared(tmp_path / "x.png", Form(80, True, False, False))[0].shape == (80, 80, 3)
    assert read_unprepared(tmp_path / "x.png", Form(80, False, True, False))[0].shape == (80, 80, 3)
    assert read_at_own_size(tmp_path / "x.png").shape == (200, 240, 3)


def test_what_can_not_be_read(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "black.png")
    for name, problem in (("gone.png", "unreadable"), ("black.png", "empty")):
        with pytest.raises(Unusable) as caught:
            read_unprepared(tmp_path / name, FORM)
        assert caught.value.problem == problem
