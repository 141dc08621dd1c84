"""Masks as bits of structures: what may stand in them, and what does not fit a photograph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data.augment import IGNORED
from swcl_cli.errors import SwclError
from swcl_cli.tasks.masks import is_there, read_field, read_structures, resized


def save(path: Path, mask: NDArray[np.uint8] | NDArray[np.uint16]) -> Path:
    Image.fromarray(mask).save(path)
    return path


def test_vessels_are_white(tmp_path: Path) -> None:
    mask = np.array([[0, 255], [255, 0]], np.uint8)
    assert read_structures(save(tmp_path / "m.png", mask), TASKS["drive"], (2, 2)).tolist() == [[0, 1], [1, 0]]


def test_the_disc_includes_the_cup(tmp_path: Path) -> None:
    mask = np.array([[0, 128, 255]], np.uint8)
    bits = read_structures(save(tmp_path / "m.png", mask), TASKS["refuge-seg"], (514, 514))
    names = list(TASKS["refuge-seg"].heads)
    held = [{name for number, name in enumerate(names) if pixel >> number & 1} for pixel in bits[0].tolist()]
    assert held == [{"disc", "cup"}, {"disc"}, set()]


def test_structures_that_exclude_each_other_are_numbers(tmp_path: Path) -> None:
    """A structure may have several values; of some pixels nobody knows what they are."""
    shades = (Shade(0), Shade(1, ("a",)), Shade(2, ("b",)), Shade(3, ("a",)), Shade(9, ignored=True))
    task = replace(TASKS["drive"], heads={"a": 2, "b": 2}, structures=Structures(("a", "b"), shades))
    truth = read_structures(save(tmp_path / "m.png", np.array([[0, 1, 2, 3, 9]], np.uint8)), task, (1, 5))
    assert truth.tolist() == [[0, 1, 2, 1, IGNORED]]
    held = [is_there(truth, number, task)[0, :4].tolist() for number in (0, 1)]
    assert held == [[False, True, False, True], [False, False, True, False]]


def test_ten_structures_that_overlap_take_two_bytes(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(10)]
    task = replace(TASKS["drive"], heads=dict.fromkeys(names, 2), structures=Structures.layered(names))
    mask = np.array([[0, 1, 0b1000000001, 1023]], np.uint16)
    truth = read_structures(save(tmp_path / "m.png", mask), task, (1, 4))
    np.testing.assert_array_equal(truth, mask)
    assert is_there(truth, 9, task).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize(("task", "value", "allowed"), [("drive", 128, "0, 255"), ("refuge-seg", 100, "0, 128, 255")])
def test_other_values_are_named(tmp_path: Path, task: str, value: int, allowed: str) -> None:
    path = save(tmp_path / "m.png", np.array([[0, 255, value]], np.uint8))
    with pytest.raises(SwclError, match=f"m.png holds the value {value}; masks of {task} hold {allowed}.*swcl prep"):
        read_structures(path, TASKS[task], (1, 3))


@pytest.mark.parametrize("image", [(100, 150), (50, 75), (333, 499), (99, 149)])
def test_photographs_may_be_resized(tmp_path: Path, image: tuple[int, int]) -> None:
    path = save(tmp_path / "m.png", np.zeros((100, 150), np.uint8))
    assert read_structures(path, TASKS["drive"], image).shape == (100, 150)


@pytest.mark.parametrize("image", [(150, 100), (100, 100), (100, 140)])
def test_a_mask_of_another_shape_is_of_another_photograph(tmp_path: Path, image: tuple[int, int]) -> None:
    path = save(tmp_path / "m.png", np.zeros((100, 150), np.uint8))
    with pytest.raises(SwclError, match=f"m.png is 150 x 100, its photograph {image[1]} x {image[0]}"):
        read_structures(path, TASKS["drive"], image)


def test_fields_of_view(tmp_path: Path) -> None:
    bits = np.zeros((2, 3), np.uint16)
    field = save(tmp_path / "f.png", np.array([[0, 255, 255], [0, 0, 255]], np.uint8))
    assert read_field(field, bits).tolist() == [[False, True, True], [False, False, True]]
    with pytest.raises(SwclError, match="f.png is 3 x 2, the mask of the same photograph 2 x 2"):
        read_field(field, bits[:, :2])


def test_resizing_takes_the_nearest_pixel() -> None:
    bits = np.array([[1, 2], [3, 0]], np.uint16)
    assert resized(bits, (4, 4)).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 0, 0], [3, 3, 0, 0]]
    assert resized(bits, (2, 2)) is bits
