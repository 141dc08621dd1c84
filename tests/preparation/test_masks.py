"""Masks of every kind: values, sizes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.masks import prepare_disc_and_cup, prepare_lesions, prepare_mask, prepare_vessels
from tests.downloads import disc_and_cup, encoded, field, vessels


def palette_mask(mask: Image.Image, dark: int, bright: int) -> Image.Image:
    """Indices `dark` and `bright` of a palette whose colours are black and white there."""
    indexed = Image.fromarray(np.where(np.asarray(mask) > 127, bright, dark).astype(np.uint8)).convert("P")
    palette = [0] * 768
    palette[3 * bright : 3 * bright + 3] = [255] * 3
    indexed.putpalette(palette)
    return indexed


def test_masks_become_0_and_255() -> None:
    mask = vessels(113, 117)
    expected = np.asarray(mask)
    ones = Image.fromarray(expected // 255)
    soft = Image.fromarray(np.where(expected == 255, 253, 3).astype(np.uint8))
    for data in (
        encoded(mask, "GIF"),
        encoded(mask.convert("1"), "PNG"),
        encoded(palette_mask(mask, 0, 1), "GIF"),
        encoded(palette_mask(mask, 5, 2), "PNG"),
        encoded(ones, "PNG"),
        encoded(soft, "TIFF"),
    ):
        prepared = prepare_mask(data, (113, 117))
        assert prepared.mode == "L"
        np.testing.assert_array_equal(prepared, expected)


def test_masks_that_are_none() -> None:
    mask = vessels(113, 117)
    blurred = mask.resize((30, 30), Image.Resampling.BILINEAR).resize((113, 117), Image.Resampling.BILINEAR)
    for data, detail in (
        (encoded(mask, "PNG"), "113 x 117, its photograph 565 x 584"),
        (encoded(blurred.resize((565, 584)), "PNG"), "neither black nor white"),
        (encoded(Image.new("L", (565, 584)), "PNG"), "no white pixel"),
    ):
        with pytest.raises(Unusable, match=detail):
            prepare_mask(data, (565, 584))
    with pytest.raises(Unusable, match="these are no vessels"):
        prepare_vessels(encoded(field(113, 117), "PNG"), (113, 117))
    np.testing.assert_array_equal(prepare_vessels(encoded(mask, "PNG"), (113, 117)), mask)


def test_disc_and_cup_keep_their_three_values() -> None:
    mask = disc_and_cup()
    smooth = np.asarray(mask, np.int16) + np.where(np.indices((120, 124)).sum(axis=0) % 2, 6, -6)
    for data in (encoded(mask, "BMP"), encoded(Image.fromarray(smooth.clip(0, 255).astype(np.uint8)), "PNG")):
        prepared = prepare_disc_and_cup(data, (124, 120))
        np.testing.assert_array_equal(prepared, mask)


@pytest.mark.parametrize(
    ("mask", "detail"),
    [
        (disc_and_cup(200, 120), "the mask is 200 x 120, its photograph 124 x 120"),
        (Image.new("L", (124, 120), 255), r"0\.00 % of the mask is darker than 150: no optic disc"),
        (disc_and_cup().point(lambda value: 255 - value), r"of the mask is darker than 150: no optic disc"),
        (disc_and_cup().point(lambda value: value // 2), "pixels are none of 0, 128, 255"),
    ],
)
def test_discs_that_are_none(mask: Image.Image, detail: str) -> None:
    with pytest.raises(Unusable, match=detail):
        prepare_disc_and_cup(encoded(mask, "PNG"), (124, 120))


def test_lesion_masks_are_held_to_the_size() -> None:
    assert prepare_lesions(encoded(Image.new("L", (120, 100), 3), "PNG"), (120, 100)).getcolors() == [(12000, 3)]
    with pytest.raises(Unusable, match="the lesion mask is 96 x 80, its photograph 120 x 100"):
        prepare_lesions(encoded(Image.new("L", (96, 80), 3), "PNG"), (120, 100))
