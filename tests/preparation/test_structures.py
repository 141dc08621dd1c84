"""Masks of several structures: codes of values and colours, edges, and what masks show that no table describes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.datasets.download import Download, Photograph
from swcl_cli.errors import SwclError
from swcl_cli.preparation.classes import counted, find_classes
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.structures import pixels_of, prepare_structures
from tests.downloads import encoded

SIZE = (96, 80)
VALUES = Structures(
    ("a", "b"),
    (Shade(0, value=0), Shade(3, ("a",), value=3), Shade(200, ("b",), value=200), Shade(9, ignored=True, value=9)),
)
COLOURS = Structures(
    ("a", "b"),
    (
        Shade(0, colour="#000000"),
        Shade(1, ("a",), colour="#ff0000"),
        Shade(2, ("b",), colour="#0000ff"),
        Shade(3, ignored=True, colour="#ffffff"),
    ),
)
PALETTE = [0, 0, 0, 255, 0, 0, 0, 0, 255, 255, 255, 255]  # of COLOURS


def squares(*values: int) -> NDArray[np.uint8]:
    """A square of each value, on nought."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    for number, value in enumerate(values):
        mask[10:30, 10 + 20 * number : 24 + 20 * number] = value
    return mask


def prepared(image: Image.Image, structures: Structures, nearest: bool = False, **options: Any) -> NDArray[Any]:
    data = encoded(image, **{"kind": "PNG", **options})
    return np.asarray(prepare_structures({"structures": data}, SIZE, structures, nearest))


def indexed(mask: NDArray[np.uint8], palette: list[int] = PALETTE) -> Image.Image:
    image = Image.fromarray(mask).copy()
    image.putpalette(palette)
    return image


@pytest.mark.parametrize("form", ["L", "RGB", "I;16", "P"])
def test_values_are_grey_levels_or_indices(form: str) -> None:
    mask = squares(3, 200, 9)
    if form == "I;16":
        image = Image.fromarray(mask.astype(np.uint16))
    elif form == "P":
        image = indexed(mask, list(np.random.default_rng(0).integers(0, 256, 768)))
    else:
        image = Image.fromarray(mask).convert(form)
    np.testing.assert_array_equal(prepared(image, VALUES), mask)


def test_a_palette_of_greys_is_of_grey_levels_where_indices_are_unknown() -> None:
    image = indexed(squares(1, 2), [0, 0, 0, 3, 3, 3, 200, 200, 200])
    np.testing.assert_array_equal(prepared(image, VALUES), squares(3, 200))


@pytest.mark.parametrize("form", ["P", "RGB", "RGBA"])
def test_colours_get_codes(form: str) -> None:
    image = indexed(squares(1, 2, 3)).convert(form)
    np.testing.assert_array_equal(prepared(image, COLOURS), squares(1, 2, 3))


def test_pixels_are_counted_by_structure() -> None:
    mask = prepare_structures({"structures": encoded(indexed(squares(1, 3)), kind="PNG")}, SIZE, COLOURS, False)
    assert pixels_of(mask, COLOURS) == [280, 0, SIZE[0] * SIZE[1]]


def coloured(**spots: tuple[int, int, int]) -> Image.Image:
    """The squares of COLOURS, with a pixel of each of these colours."""
    image = indexed(squares(1, 2)).convert("RGB")
    for number, colour in enumerate(spots.values()):
        image.putpixel((5, number), colour)
    return image


@pytest.mark.parametrize(
    ("image", "structures", "message"),
    [
        (
            coloured(x=(0, 255, 0)),
            COLOURS,
            "1 of the mask's pixels (0.013 %) are #00ff00, which the classes lack: add it to --mask-classes, perhaps "
            "as ignore or background",
        ),
        (
            coloured(x=(0, 255, 0), y=(9, 9, 9), z=(9, 9, 9)),
            COLOURS,
            "3 of the mask's pixels (0.039 %) are #090909 or 1 other colours that the classes lack: add it",
        ),
        (
            coloured(**{f"c{level}": (level, 0, 0) for level in range(20, 200, 10)}),
            COLOURS,
            "18 of the mask's pixels (0.23 %) have 18 colours that the classes lack, between those that they have: "
            "edges that were smoothed, or a lossy copy. --mask-edges nearest takes the nearest ones",
        ),
        (Image.fromarray(squares(3, 44)), VALUES, "280 of the mask's pixels (3.6 %) are 44, which the classes"),
        (coloured(), VALUES, "it has colours, such as #ff0000: name colours in --mask-classes"),
        (
            Image.fromarray(squares(3).astype(np.uint16) * 300),
            VALUES,
            "it holds values from 0 to 900: only 0 to 255 are read",
        ),
        (Image.new("RGB", SIZE, "white"), COLOURS, "all of its pixels are to be ignored"),
        (Image.new("RGB", (96, 81)), COLOURS, "the mask is 96 x 81, its photograph 96 x 80"),
    ],
)
def test_masks_that_can_not_be_used(image: Image.Image, structures: Structures, message: str) -> None:
    with pytest.raises(Unusable) as error:
        prepared(image, structures)
    assert error.value.problem == "bad mask" and error.value.detail.startswith(message)


def test_edges_take_the_nearest_colour() -> None:
    """Against a plain loop over the pixels, of a lossy copy."""
    image = coloured(x=(0, 255, 0))
    codes = prepared(image, COLOURS, nearest=True, kind="JPEG", quality=30)
    seen = np.asarray(Image.open(BytesIO(encoded(image, quality=30))).convert("RGB")).astype(int)
    known = [(0, 0, 0), (255, 0, 0), (0, 0, 255), (255, 255, 255)]
    for y in range(0, SIZE[1], 3):
        for x in range(0, SIZE[0], 3):
            distances = [sum((seen[y, x, c] - colour[c]) ** 2 for c in range(3)) for colour in known]
            assert codes[y, x] == int(np.argmin(distances))


def test_edges_take_the_nearest_value() -> None:
    codes = prepared(Image.fromarray(squares(2, 120, 90)), VALUES, nearest=True)
    np.testing.assert_array_equal(codes, squares(3, 200, 9))


def download(tmp_path: Path, *images: Image.Image, **values: Any) -> Download:
    made = Download(tmp_path, {}, False, mask_kind="mask", **values)
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number}.png")
        made.add(Photograph(f"{number}", f"{number}", "train", f"photo{number}.jpg", mask=f"{number}.png"))
    return made


def found(made: Download) -> tuple[str, dict[tuple[int, int | None, str | None], tuple[str, ...]]]:
    find_classes(made)
    shades = made.structures.shades if made.structures else ()
    return made.mask_kind, {(shade.code, shade.value, shade.colour): shade.names for shade in shades}


def test_most_masks_decide_whether_all_are_two_valued(tmp_path: Path) -> None:
    two, several = Image.fromarray(squares(255)), Image.fromarray(squares(100, 200))
    assert found(download(tmp_path, two, two, several)) == ("mask", {})
    kind, shades = found(made := download(tmp_path, two, several, several))
    assert kind == "structures" and made.structures and made.structures.exclusive
    assert shades == {
        (0, 0, None): (),
        (100, 100, None): ("value-100",),
        (200, 200, None): ("value-200",),
        (255, 255, None): ("value-255",),
    }
    (remark,) = made.remarks
    assert remark == (
        "masks of several structures; their values are: 0 (background) 93.92%, 100 (value-100) 2.43%, 200 (value-200) "
        "2.43%, 255 (value-255) 1.22%. --mask-classes TABLE names them."
    )


def test_palettes_that_agree_are_kept(tmp_path: Path) -> None:
    first, second = indexed(squares(1, 2)), indexed(squares(1, 3))
    _, shades = found(download(tmp_path, first, second))
    assert list(shades) == [(0, 0, "#000000"), (1, 1, "#ff0000"), (2, 2, "#0000ff"), (3, 3, "#ffffff")]


def test_palettes_that_differ_are_of_colours(tmp_path: Path) -> None:
    other = indexed(squares(1, 2), [0, 0, 0, 0, 0, 255, 255, 0, 0])
    _, shades = found(download(tmp_path, indexed(squares(1, 2)), other))
    assert shades == {
        (0, None, "#000000"): (),
        (1, None, "#0000ff"): ("colour-0000ff",),
        (2, None, "#ff0000"): ("colour-ff0000",),
    }


def test_without_black_the_commonest_value_is_the_background(tmp_path: Path) -> None:
    mask = squares(100, 200)
    mask[mask == 0] = 50
    _, shades = found(download(tmp_path, Image.fromarray(mask)))
    assert shades[50, 50, None] == () and len(shades) == 3


def test_too_many_values_are_no_structures(tmp_path: Path) -> None:
    smooth = Image.fromarray(np.tile(np.arange(96, dtype=np.uint8) * 2, (80, 1)))
    with pytest.raises(SwclError) as error:
        find_classes(download(tmp_path, smooth))
    assert "0.png and those before it have more than 16 values; 0.0% of its pixels" in str(error.value)
    assert "--mask-edges nearest" in str(error.value)
    _, shades = found(made := download(tmp_path, smooth, nearest=True))
    assert made.mask_kind == "mask of the nearest" and not shades


def test_a_table_of_indices_gets_the_colours_of_the_palette(tmp_path: Path) -> None:
    named = Structures(("a",), (Shade(0, value=0), Shade(2, ("a",), value=2)))
    kind, shades = found(download(tmp_path, indexed(squares(2)), structures=named))
    assert kind == "structures" and shades == {(0, 0, "#000000"): (), (2, 2, "#0000ff"): ("a",)}


def test_structures_are_counted_by_split() -> None:
    """A photograph without a mask counts nowhere."""
    rows, lacking = counted(
        VALUES, [("train", [10, 0, 100]), ("train", [0, 30, 100]), ("test", [5, 0, 50]), ("val", [])]
    )
    assert rows == [("a", "3", "6.00%", "1", "0", "1"), ("b", "200", "12.00%", "1", "0", "0")]
    assert lacking == [
        "no photograph of test holds any b: put some there by --split-file, or leave it out by finetune folder --heads"
    ]
