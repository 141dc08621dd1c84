"""Masks of every kind: values, sizes, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from swcl_cli.preparation.decoding import ORIENTATION, Unusable
from swcl_cli.preparation.masks import (
    covered,
    prepare_disc_and_cup,
    prepare_field,
    prepare_lesions,
    prepare_mask,
    prepare_vessels,
)
from swcl_cli.preparation.photograph import prepare_photograph
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
    ):
        with pytest.raises(Unusable, match=detail):
            prepare_mask(data, (565, 584))
    with pytest.raises(Unusable, match="no white pixel"):
        prepare_field(encoded(Image.new("L", (565, 584)), "PNG"), (565, 584))
    with pytest.raises(Unusable, match="these are no vessels"):
        prepare_vessels(encoded(Image.new("L", (113, 117)), "PNG"), (113, 117))
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


def test_lesion_masks_are_upright_and_what_is_transparent_is_none() -> None:
    kinds = np.zeros((100, 120), np.uint8)
    kinds[10:20, 30:60], kinds[50:60, 5:9] = 1, 5
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    data = encoded(Image.fromarray(kinds).transpose(Image.Transpose.ROTATE_90), "PNG", exif=turned)
    np.testing.assert_array_equal(prepare_lesions(data, (120, 100)), kinds)
    drawn = np.dstack([np.full((100, 120, 3), 255, np.uint8), np.where(kinds, 255, 0)]).astype(np.uint8)
    np.testing.assert_array_equal(
        np.asarray(prepare_lesions(encoded(Image.fromarray(drawn), "PNG"), (120, 100))) > 0, kinds > 0
    )


@pytest.mark.parametrize("prepare", [prepare_mask, prepare_lesions, prepare_disc_and_cup])
def test_a_mask_of_several_pages_is_not_guessed(prepare: Any) -> None:
    pages = encoded(field(113, 117), "TIFF", save_all=True, append_images=[Image.new("L", (113, 117))])
    with pytest.raises(Unusable, match="mask's file holds 2 pictures: save the one that is meant alone"):
        prepare(pages, (113, 117))


@pytest.mark.parametrize("colour", [(255, 255, 255), (1, 1, 1), (255, 0, 0), (0, 0, 40)])
def test_of_two_colours_the_other_one_is_not_black(colour: tuple[int, int, int]) -> None:
    mask = field(113, 117)
    drawn = Image.new("RGB", mask.size)
    drawn.paste(colour, mask=mask)
    for image in (drawn, drawn.convert("P", palette=Image.Palette.ADAPTIVE, colors=2)):
        np.testing.assert_array_equal(prepare_mask(encoded(image, "PNG"), mask.size), mask)


def test_an_empty_mask_is_an_eye_with_nothing_to_mark() -> None:
    for mode in ("L", "1", "RGB", "P"):
        assert not np.asarray(prepare_mask(encoded(Image.new(mode, (70, 64)), "PNG"), (70, 64))).any()


def test_of_white_and_grey_the_pixels_between_are_counted() -> None:
    levels = np.zeros((100, 80), np.uint8)
    levels[:10], levels[10:12], levels[12] = 255, 76, 100
    told = r"240 of the mask's pixels \(3\.0 %\) are neither black nor white, most of them grey 76"
    with pytest.raises(Unusable, match=told):
        prepare_mask(encoded(Image.fromarray(levels), "PNG"), (80, 100))


def test_what_is_transparent_is_black() -> None:
    mask = field(113, 117)
    white = Image.new("RGBA", mask.size, (255, 255, 255, 0))
    white.putalpha(mask)
    np.testing.assert_array_equal(prepare_mask(encoded(white, "PNG"), mask.size), mask)
    black = Image.new("RGBA", mask.size, (0, 0, 0, 0))
    black.putalpha(mask)
    with pytest.raises(Unusable, match=r"drawn in black on nothing \(transparent\): save it as white on black"):
        prepare_mask(encoded(black, "PNG"), mask.size)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_masks_are_turned_as_photographs_are(orientation: int) -> None:
    drawn = np.zeros((100, 80, 3), np.uint8)
    drawn[5:30, 10:50] = 255
    photograph = drawn.copy()
    photograph[40:90] = 60
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright, own = prepare_photograph(encoded(Image.fromarray(photograph), "JPEG", exif=exif, quality=100), 0)
    mask = prepare_mask(encoded(Image.fromarray(drawn), "JPEG", exif=exif, quality=100), own)
    assert mask.size == own == ((100, 80) if orientation in (6, 8) else (80, 100))
    np.testing.assert_array_equal(np.asarray(mask) > 0, np.asarray(upright)[..., 0] > 127)


def test_how_much_of_the_field_a_mask_covers() -> None:
    levels = np.zeros((80, 80, 3), np.uint8)
    levels[:, :40] = 90  # the field of view: the left half
    photograph, mask = Image.fromarray(levels), np.zeros((160, 160), np.uint8)
    mask[:40, :] = 255
    assert covered(Image.fromarray(mask), photograph) == 0.25
    assert covered(Image.fromarray(255 - mask), photograph) == 0.75
    assert covered(Image.fromarray(mask), Image.new("RGB", (80, 80))) == 0
