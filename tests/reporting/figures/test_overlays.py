"""Structures over a photograph: filled thinly, outlined in full colour, later ones over earlier ones."""

from __future__ import annotations

import numpy as np

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.reporting.figures.overlays import COLOURS, SHARE, colours_of, hexadecimal, overlay


def test_fill_outline_and_what_lies_outside() -> None:
    photograph = np.full((40, 50, 3), (200, 100, 40), np.uint8)
    outer, inner = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    outer[5:35, 5:45] = True
    inner[15:25, 20:30] = True
    before = photograph.copy()
    colours = dict(zip(("outer", "inner"), COLOURS, strict=False))
    drawn = overlay(photograph, {"inner": inner, "outer": outer}, colours)
    np.testing.assert_array_equal(photograph, before)
    np.testing.assert_array_equal(drawn[~outer], photograph[~outer])
    assert tuple(drawn[5, 20]) == COLOURS[0] and tuple(drawn[15, 25]) == COLOURS[1]
    filled = (1 - SHARE) * np.array((200, 100, 40)) + SHARE * np.array(COLOURS[0])
    np.testing.assert_array_equal(drawn[10, 10], filled.astype(np.uint8))
    twice = (1 - SHARE) * filled.astype(np.uint8) + SHARE * np.array(COLOURS[1])
    np.testing.assert_array_equal(drawn[20, 25], twice.astype(np.uint8))


def test_nothing_found_leaves_the_photograph() -> None:
    photograph = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    np.testing.assert_array_equal(overlay(photograph, {"a": np.zeros((20, 20), bool)}, {"a": COLOURS[0]}), photograph)


def test_outlines_are_wider_on_larger_photographs() -> None:
    mask = np.zeros((2000, 2000), bool)
    mask[500:1500, 500:1500] = True
    drawn = overlay(np.zeros((2000, 2000, 3), np.uint8), {"a": mask}, {"a": COLOURS[0]})
    width = (drawn[1000, 400:600] == COLOURS[0]).all(axis=1).sum()
    assert 3 <= width <= 6


def test_structures_have_the_colours_of_peoples_own_masks_where_they_are_seen() -> None:
    def told(*colours: str) -> Structures:
        shades = (
            Shade(code, (name,), colour=colour) for code, (name, colour) in enumerate(zip("ab", colours, strict=True))
        )
        return Structures(("a", "b"), tuple(shades))

    assert colours_of("ab", told("#ff0000", "#0000ff")) == {"a": (255, 0, 0), "b": (0, 0, 255)}
    ours = {"a": COLOURS[0], "b": COLOURS[1]}
    for colours in (("#ff0000", "#101010"), ("#ff0000", "#ff0000")):  # too dark, and alike
        assert colours_of("ab", told(*colours)) == ours
    assert colours_of("ab", Structures.layered("ab")) == ours
    assert len(set(COLOURS)) == 10 and hexadecimal((255, 0, 16)) == "#ff0010"
