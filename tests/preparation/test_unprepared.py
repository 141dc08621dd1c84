"""Photographs that nobody prepared: found by unique names, and prepared as `prep` would."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from swcl_cli.errors import SwclError
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.photograph import encode, prepare_photograph
from swcl_cli.preparation.unprepared import Form, _names, find_photographs, read_at_own_size, read_unprepared
from tests import downloads

FORM = Form(size=80, square=False, crop_to_field=False, lossless=False)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def names(root: Path, *given: str) -> dict[str, str]:
    found = find_photographs([root / name for name in given], root / "out")
    return {name: path.relative_to(root).as_posix() for name, path in found.files.items()}


def aside(root: Path) -> dict[str, tuple[str, str]]:
    found = find_photographs([root], root / "out")
    return {name: (problem.problem, problem.detail) for name, problem in found.aside.items()}


def test_a_folder_is_searched(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPG", "a/x.png", "a/y.ppm.gz", "notes.txt", ".hidden.png", ".cache/z.png", "out/masks/b.png")
    assert names(tmp_path, ".") == {"b": "b.JPG", "a/x": "a/x.png", "a/y": "a/y.ppm.gz", "notes": "notes.txt"}
    assert aside(tmp_path) == {".hidden": ("left out", "a hidden file"), ".cache": ("left out", "a hidden folder")}


def test_what_is_no_regular_file_is_set_aside_and_never_opened(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "else/b.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "linked").symlink_to("else")
    (tmp_path / "link.png").symlink_to("else/b.png")
    assert names(tmp_path, ".") == {"a": "a.png", "else/b": "else/b.png", "link": "link.png"}
    assert aside(tmp_path) == {
        "device": ("not a file", "a pipe, socket or device"),
        "gone": ("not a file", "No such file or directory"),
        "linked": ("left out", "a link to a folder"),
        "loop": ("not a file", "Too many levels of symbolic links"),
        "pipe": ("not a file", "a pipe, socket or device"),
    }
    with pytest.raises(Unusable, match="not a file"):
        read_at_own_size(tmp_path / "pipe.png")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "huge.tif", "wb") as handle:
        handle.truncate(2**40)
    with pytest.raises(Unusable) as caught:
        read_at_own_size(tmp_path / "huge.tif")
    assert (caught.value.problem, caught.value.detail) == (
        "too large",
        "1,099,511,627,776 bytes: more than 800,000,000",
    )


def test_files_are_taken_as_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png", "b/x.png", "b/odd.dat")
    assert names(tmp_path, "a/x.png") == {"x": "a/x.png"}
    assert names(tmp_path, "b/odd.dat", "a/x.png") == {"odd": "b/odd.dat", "x": "a/x.png"}
    assert names(tmp_path, "b", "b/x.png", "b") == {"x": "b/x.png", "odd": "b/odd.dat"}


def test_names_are_unique(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png", "a/x.jpg", "b/x.png")
    assert names(tmp_path, "a", "b") == {"a/x.jpg": "a/x.jpg", "a/x.png": "a/x.png", "b/x": "b/x.png"}
    assert names(tmp_path, "a", "a/x.png") == {"x.jpg": "a/x.jpg", "x.png": "a/x.png"}


def test_names_of_several_folders_are_short_and_of_equal_ones_as_long_as_need_be(tmp_path: Path) -> None:
    touch(tmp_path, "far/one/left/x.png", "far/two/left/x.png", "near/x.png")
    given = ("far/one/left", "far/two/left", "near")
    assert set(names(tmp_path, *given)) == {"one/left/x", "two/left/x", "near/x"}


def test_a_name_that_another_has_with_its_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.jpg", "a.png.jpg")
    assert set(names(tmp_path, ".")) == {"a.png", "a.jpg", "a.png.jpg"}


@given(st.sets(st.from_regex(r"[ab]{1,2}(/[ab]{1,2})?(\.(png|jpg|gz)){0,2}", fullmatch=True), min_size=1, max_size=8))
def test_every_file_has_a_name_of_its_own(paths: set[str]) -> None:
    """Whatever the names: none is lost."""
    parts = {Path("/photographs", path): path.count("/") + 1 for path in paths}
    named = _names(parts)
    assert named.keys() == parts.keys() and len(set(named.values())) == len(paths)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="gone does not exist"):
        find_photographs([tmp_path / "gone"], tmp_path / "out")
    with pytest.raises(SwclError, match="holds no photographs"):
        find_photographs([tmp_path], tmp_path / "out")


@pytest.mark.parametrize("lossless", [True, False])
def test_prepared_as_prep_does(tmp_path: Path, lossless: bool) -> None:
    downloads.write_photograph(tmp_path / "x.png", 1, width=240, height=200)
    form = Form(size=80, square=False, crop_to_field=False, lossless=lossless)
    image, own, notes = read_unprepared(tmp_path / "x.png", form)
    made = prepare_photograph((tmp_path / "x.png").read_bytes(), 80)[0]
    (tmp_path / "prepared").write_bytes(encode(made, lossless))
    np.testing.assert_array_equal(image, np.asarray(Image.open(tmp_path / "prepared")))
    assert own == (240, 200) and not notes and image.shape == (80, 96, 3) and image.dtype == np.uint8


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
