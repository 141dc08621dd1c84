"""Decoding, resizing, colour sums and masks, each against a plain computation; damaged files are told apart."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from swcl_cli.chance import generator
from swcl_cli.data import images
from swcl_cli.data.images import Unusable, colour_statistics, colour_sums, prepare_mask, prepare_photograph
from swcl_cli.errors import SwclError
from tests.downloads import field, photograph, vessels


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def problem_of(data: bytes, size: int = 96) -> str:
    with pytest.raises(Unusable) as caught:
        prepare_photograph(data, size)
    return caught.value.problem


@pytest.fixture(scope="module")
def large_photograph() -> bytes:
    """A JPEG of 3000 x 2000 with detail at all scales, like vessels and grain."""
    rng = generator(0, "large photograph")
    levels = np.full((2000, 3000, 3), (150.0, 80.0, 40.0))
    for step, strength in ((8, 3), (40, 8), (200, 15)):
        noise = rng.normal(0, strength, (2000 // step, 3000 // step)).astype(np.float32)
        levels += np.asarray(Image.fromarray(noise).resize((3000, 2000), Image.Resampling.BICUBIC))[..., None]
    image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    return encoded(Image.composite(image, Image.new("RGB", image.size), field(3000, 2000)), quality=92)


@pytest.mark.parametrize("size", [192, 350, 448, 700])
def test_scaled_decoding_is_as_good_as_full_decoding(large_photograph: bytes, size: int) -> None:
    scaled, own = prepare_photograph(large_photograph, size)
    full = Image.open(BytesIO(large_photograph)).convert("RGB").resize(scaled.size, Image.Resampling.BILINEAR)
    error = np.mean((np.asarray(scaled, float) - np.asarray(full, float)) ** 2)
    assert own == (3000, 2000) and min(scaled.size) == size
    assert 10 * np.log10(255**2 / error) >= 50


@pytest.mark.parametrize(
    ("own", "size", "expected"),
    [
        ((771, 512), 350, (527, 350)),
        ((512, 771), 350, (350, 527)),
        ((100, 80), 160, (200, 160)),
        ((100, 80), 0, (100, 80)),
    ],
)
def test_shorter_side(own: tuple[int, int], size: int, expected: tuple[int, int]) -> None:
    assert prepare_photograph(encoded(photograph(0, *own), "PNG"), size)[0].size == expected


def test_own_size_keeps_every_pixel() -> None:
    image = photograph(1)
    np.testing.assert_array_equal(prepare_photograph(encoded(image, "TIFF"), 0)[0], image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photograph(2, 240, 200), exif=exif, quality=95)
    prepared, own = prepare_photograph(data, 100)
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    expected = upright.resize(prepared.size, Image.Resampling.BILINEAR)
    assert own == upright.size
    assert np.abs(np.asarray(prepared, float) - np.asarray(expected, float)).mean() < 1


def test_all_modes_become_rgb() -> None:
    image = photograph(3)
    grey = image.convert("L")
    deep = Image.fromarray(np.asarray(grey, np.uint16) * np.uint16(257))
    layered = image.copy()
    layered.putalpha(field(*image.size))
    on_white = Image.composite(image, Image.new("RGB", image.size, "white"), field(*image.size))
    on_white.putalpha(field(*image.size))
    for data, expected, tolerance in (
        (encoded(grey, "PNG"), grey.convert("RGB"), 0),
        (encoded(deep, "PNG"), grey.convert("RGB"), 0),
        (encoded(deep, "TIFF"), grey.convert("RGB"), 0),
        (encoded(layered, "PNG"), image, 0),
        (encoded(on_white, "PNG"), image, 0),
        (encoded(image.convert("P", palette=Image.Palette.ADAPTIVE), "GIF"), image, 12),
        (encoded(image.convert("CMYK"), "TIFF"), image, 1),
        (encoded(image.convert("CMYK"), "JPEG", quality=95), image, 6),
    ):
        prepared = prepare_photograph(data, 0)[0]
        assert prepared.mode == "RGB"
        assert np.abs(np.asarray(prepared, float) - np.asarray(expected, float)).mean() <= tolerance


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("filler", [b"", b"\x00"])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncation_is_found(keep: float, filler: bytes, progressive: bool) -> None:
    data = encoded(photograph(4, 1200, 1000), quality=90, progressive=progressive)
    cut = int(keep * len(data))
    assert problem_of(data[:cut] + filler * (len(data) - cut)) == "truncated"


def test_the_end_of_an_embedded_thumbnail_is_not_the_end() -> None:
    thumbnail = b"Exif\x00\x00" + encoded(photograph(4, 160, 120))
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = encoded(photograph(4, 1200, 1000), quality=90)
    whole = data[:2] + segment + data[2:]
    assert prepare_photograph(whole, 96)[0].size == (115, 96)
    assert prepare_photograph(whole + b"\x00 trailing bytes \xff\xda", 96)[0].size == (115, 96)
    assert problem_of(whole[: len(whole) - 4000] + b"\x00" * 4000) == "truncated"


def test_truncated_png_and_tiff() -> None:
    for kind in ("PNG", "TIFF"):
        data = encoded(photograph(4), kind)
        assert problem_of(data[: len(data) // 2]) in {"truncated", "corrupt", "not an image"}


def test_other_damage() -> None:
    assert problem_of(b"") == "not an image"
    assert problem_of(b"<html>404</html>") == "not an image"
    assert problem_of(encoded(photograph(0, 90, 60))) == "too small"
    assert problem_of(encoded(Image.new("1", (20_000, 20_000)), "PNG")) == "too large"
    assert problem_of(encoded(Image.new("1", (10_100, 10_000)), "PNG")) == "too large"
    assert problem_of(encoded(Image.new("F", (100, 100)), "TIFF")) == "corrupt"


def test_colour_sums_against_numpy() -> None:
    image = photograph(5)
    levels = np.asarray(image, float).reshape(-1, 3)
    lit = levels[levels.max(axis=1) > 15]
    statistics = colour_statistics(colour_sums(image))
    for prefix, pixels in (("", levels), ("fov_", lit)):
        np.testing.assert_allclose(statistics[f"{prefix}mean"], pixels.mean(axis=0) / 255, atol=1e-6)
        np.testing.assert_allclose(statistics[f"{prefix}std"], pixels.std(axis=0) / 255, atol=1e-6)


def test_sums_of_four_images_are_those_of_their_mosaic() -> None:
    parts = [photograph(item) for item in range(6, 10)]
    mosaic = Image.new("RGB", (240, 200))
    for part, corner in zip(parts, ((0, 0), (120, 0), (0, 100), (120, 100)), strict=True):
        mosaic.paste(part, corner)
    assert [sum(column) for column in zip(*map(colour_sums, parts), strict=True)] == colour_sums(mosaic)


@pytest.mark.parametrize(("box", "problem"), [((0, 0, 120, 40), "cut off"), ((0, 0, 20, 20), "empty")])
def test_frames_with_hardly_anything_in_them(box: tuple[int, int, int, int], problem: str) -> None:
    image = Image.new("RGB", (120, 100), (8, 4, 2))
    image.paste((180, 90, 40), box)
    with pytest.raises(Unusable) as caught:
        colour_sums(image)
    assert caught.value.problem == problem


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
        images.check_vessels(field(113, 117))
    images.check_vessels(mask)


def test_reading_prepared_images(tmp_path: Path) -> None:
    images.save(photograph(8), tmp_path / "image.png", lossless=True)
    images.save(vessels(113, 117), tmp_path / "mask.png", lossless=True)
    np.testing.assert_array_equal(images.read_image(tmp_path / "image.png"), photograph(8))
    np.testing.assert_array_equal(images.read_mask(tmp_path / "mask.png"), vessels(113, 117))
    with pytest.raises(SwclError, match=r"other\.png can't be read"):
        images.read_image(tmp_path / "other.png")
