"""Masks as people have them: what is read as structures is written in the same values again."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.tasks.written import as_given

A, B = np.array([[0, 1, 0, 1]], bool), np.array([[0, 0, 1, 1]], bool)
RED, BLUE, GREEN = "#ff0000", "#0000ff", "#00ff00"


def exclusive(*shades: Shade) -> Structures:
    return Structures(("a", "b"), shades)


def test_values_without_a_palette_are_grey_levels() -> None:
    found = exclusive(Shade(9, (), value=9), Shade(3, ("a",), value=3), Shade(200, ("b",), value=200))
    image = as_given({"a": A[:, :3], "b": B[:, :3]}, found)
    assert image is not None and image.mode == "L" and np.asarray(image).tolist() == [[9, 3, 200]]


def test_indices_keep_their_palette() -> None:
    one = Structures(("a",), (Shade(0, value=0, colour="#000000"), Shade(3, ("a",), value=3, colour=RED)))
    image = as_given({"a": A}, one)
    assert image is not None and image.mode == "P" and np.asarray(image).tolist() == [[0, 3, 0, 3]]
    assert np.asarray(image.convert("RGB"))[0, 1].tolist() == [255, 0, 0]


def test_colours_of_structures_that_overlap() -> None:
    """A structure of two colours is written in the first; ignored ones are never written."""
    shades = [
        Shade(0, colour="#000000"),
        Shade(1, ("a",), colour=RED),
        Shade(2, ("b",), colour=BLUE),
        Shade(3, ("a", "b"), colour=GREEN),
        Shade(4, ("a",), colour="#800000"),
        Shade(5, ignored=True, colour="#ffffff"),
    ]
    image = as_given({"a": A, "b": B}, exclusive(*shades))
    assert image is not None and image.mode == "RGB"
    assert np.asarray(image)[0].tolist() == [[0, 0, 0], [255, 0, 0], [0, 0, 255], [0, 255, 0]]
    alone = as_given({"a": A}, exclusive(*shades).only(["a"]))
    assert alone is not None and np.asarray(alone)[0, :2].tolist() == [[0, 0, 0], [255, 0, 0]]


@pytest.mark.parametrize(
    "structures",
    [
        Structures.two_valued("a"),
        Structures.layered(("a", "b")),
        exclusive(Shade(1, ("a",), value=1), Shade(2, ("b",), value=2)),  # no background
        exclusive(Shade(0, value=0), Shade(1, ("a",), value=1), Shade(2, ("a", "b"), value=2)),  # no `b` alone
    ],
)
def test_what_has_no_value_is_not_put_together(structures: Structures) -> None:
    masks = {"a": A, "b": B}
    assert as_given({name: masks[name] for name in structures.names}, structures) is None


def test_many_structures_that_exclude_each_other() -> None:
    names = [f"s{number}" for number in range(40)]
    shades = [Shade(number, (name,), value=number) for number, name in enumerate(names, 1)]
    masks = {name: np.eye(40, dtype=bool)[number : number + 1] for number, name in enumerate(names)}
    image = as_given(masks, Structures(tuple(names), (Shade(0, value=0), *shades)))
    assert isinstance(image, Image.Image) and np.asarray(image)[0].tolist() == list(range(1, 41))
