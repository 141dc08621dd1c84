"""Decoding, resizing, colour sums and masks, each against a plain computation; damaged files are told apart."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from swcl_cli.chance import generator
from swcl_cli.data import images
from swcl_cli.errors import SwclError
from swcl_cli.preparation import decoding
from swcl_cli.preparation.decoding import PAGES, SCALED, Unusable
from swcl_cli.preparation.photograph import colour_statistics, colour_sums, encode, prepare_photograph
from tests.downloads import encoded, field, photograph, vessels


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
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photograph(2, 240, 200), kind, exif=exif, quality=95)
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


def _of_bits(image: Image.Image, factor: int, dtype: str = "uint16") -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(dtype) * np.dtype(dtype).type(factor))


@pytest.mark.parametrize(
    ("factor", "dtype", "kind", "note"),
    [
        (257, "uint16", "PNG", None),
        (16, "uint16", "PNG", "16 bits: 4,095 became 255"),
        (16, "uint16", "TIFF", "16 bits: 4,095 became 255"),
        (4, "uint16", "PNG", "16 bits: 1,023 became 255"),
        (1, "uint16", "TIFF", "16 bits: 255 became 255"),
        (1, "int32", "TIFF", "32 bits: 255 became 255"),
        (257, "int32", "TIFF", None),
        (100_000, "int32", "TIFF", "32 bits: 2.55e+07 became 255"),
    ],
)
def test_levels_are_scaled_by_the_bits_that_they_have(factor: int, dtype: str, kind: str, note: str | None) -> None:
    image = photograph(3)
    image.putpixel((60, 50), (255, 255, 255))
    prepared = prepare_photograph(encoded(_of_bits(image, factor, dtype), kind), 0)[0]
    expected = np.asarray(image.convert("L").convert("RGB"), float)
    assert np.abs(np.asarray(prepared, float) - expected).max() <= 1
    assert (prepared.info.get(SCALED) or "").endswith(note or "") and (SCALED in prepared.info) == bool(note)


def test_floating_point_levels_and_laboratory_colours() -> None:
    image = photograph(3)
    grey = np.asarray(image.convert("L"))
    shares = Image.fromarray(grey.astype(np.float32) / 255)
    assert np.abs(np.asarray(prepare_photograph(encoded(shares, "TIFF"), 0)[0], float)[..., 0] - grey).max() <= 1
    broken = np.full((80, 80), np.nan, np.float32)
    assert problem_of(encoded(Image.fromarray(broken), "TIFF")) == "corrupt"
    profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    lab = ImageCms.applyTransform(image, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    assert lab is not None
    prepared = np.asarray(prepare_photograph(encoded(lab, "TIFF"), 0)[0], float)
    assert np.abs(prepared - np.asarray(image, float)).mean() < 2


@pytest.mark.parametrize("kind", [".png", ".tif"])
@pytest.mark.parametrize(("factor", "note"), [(257, ""), (16, "16 bits: 4,095 became 255")])
def test_colours_of_12_bits_in_16(kind: str, factor: int, note: str) -> None:
    """Pillow keeps the upper 8 of 16 bits, which are nearly black where the lower 12 are used."""
    image = np.array(photograph(3))
    image[50, 60] = 255
    data = cv2.imencode(kind, image[..., ::-1].astype(np.uint16) * np.uint16(factor))[1].tobytes()
    prepared = prepare_photograph(data, 0)[0]
    assert np.abs(np.asarray(prepared, float) - image).max() <= 1
    assert prepared.info.get(SCALED, "").endswith(note) and bool(prepared.info) == bool(note)


def test_webp() -> None:
    image = photograph(3)
    prepared = prepare_photograph(encoded(image, "WEBP", lossless=True), 0)[0]
    np.testing.assert_array_equal(prepared, image)


def test_dicom_is_named() -> None:
    with pytest.raises(Unusable, match="a DICOM file: convert it first, as `dcmj2pnm --write-png` of DCMTK does"):
        prepare_photograph(b"\0" * 128 + b"DICM" + b"\0" * 100, 0)


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
    assert problem_of(encoded(Image.new("F", (100, 100), -1), "TIFF")) == "corrupt"


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


@pytest.mark.parametrize("quality", [None, 40, 75, 90])
@pytest.mark.parametrize("size", [0, 100])
@pytest.mark.parametrize("drawn", [vessels, field])
def test_masks_are_no_photographs_however_they_were_saved(
    drawn: Callable[[int, int], Image.Image], size: int, quality: int | None
) -> None:
    """Without loss, as JPEG, and as one that is decoded at a quarter."""
    mask = drawn(500, 440)
    assert len(mask.getcolors() or ()) == 2
    data = encoded(mask, "PNG") if quality is None else encoded(mask, quality=quality)
    with pytest.raises(Unusable, match="as those of a mask") as caught:
        prepare_photograph(data, size)
    assert caught.value.problem == "no photograph"


@pytest.mark.parametrize("changed", ["grey", "dark", "bright", "dark and grey"])
def test_photographs_without_colour_or_light_are_photographs(changed: str) -> None:
    pixels = np.asarray(photograph(3, 500, 440)).astype(float)
    pixels = np.where(np.asarray(field(500, 440))[..., None] > 0, pixels, 0)
    pixels *= 0.15 if "dark" in changed else 2.5 if changed == "bright" else 1
    pixels[200:220, 200:220] = 255  # a reflex
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    for size in (0, 100):
        prepare_photograph(encoded(image.convert("L" if "grey" in changed else "RGB")), size)


def test_reading_prepared_images(tmp_path: Path) -> None:
    data = encode(photograph(8), lossless=True)
    (tmp_path / "image.png").write_bytes(data)
    (tmp_path / "mask.png").write_bytes(encode(vessels(113, 117), lossless=True))
    np.testing.assert_array_equal(images.read_image(tmp_path / "image.png"), photograph(8))
    np.testing.assert_array_equal(images.read_mask(tmp_path / "mask.png"), vessels(113, 117))
    with pytest.raises(SwclError, match=r"other\.png can't be read"):
        images.read_image(tmp_path / "other.png")
    np.testing.assert_array_equal(images.read_image(tmp_path / "image.png", zlib.crc32(data)), photograph(8))
    with pytest.raises(SwclError, match=r"image\.png is not the image that was prepared.*`swcl prep`"):
        images.read_image(tmp_path / "image.png", zlib.crc32(data) + 1)


def test_gzip_is_unpacked_and_checked() -> None:
    image = photograph(9)
    data = gzip.compress(encoded(image, "PPM"))
    np.testing.assert_array_equal(prepare_photograph(data, 0)[0], image)
    assert problem_of(data[: len(data) // 2]) == "truncated"
    assert problem_of(data[:-12] + bytes(12)) in {"truncated", "corrupt"}
    assert problem_of(gzip.compress(b"<html>")) == "not an image"


def test_a_gzip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LARGEST_UNPACKED", 10_000)
    assert problem_of(gzip.compress(bytes(1_000_000))) == "too large"


@pytest.mark.parametrize("own", [(300, 200), (200, 300)])
def test_squares(own: tuple[int, int]) -> None:
    data = encoded(photograph(10, *own), "PNG")
    prepared, size = prepare_photograph(data, 96, square=True)
    expected = photograph(10, *own).resize((96, 96), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(prepared, expected)
    assert size == own
    assert prepare_photograph(data, 0, square=True)[0].size == own


@pytest.mark.parametrize(("kind", "size"), [("PNG", 128), ("JPEG", 128), ("JPEG", 400), ("PNG", 0)])
def test_the_crop_is_that_of_the_full_image(kind: str, size: int) -> None:
    """Cropped from the photograph at its own size, then resized: the scaled decoding changes it by little."""
    wide = Image.new("RGB", (1500, 1000))
    wide.paste(photograph(11, 800, 800), (300, 100))
    prepared, own = prepare_photograph(
        encoded(wide, kind, **({"quality": 95} if kind == "JPEG" else {})), size, crop=True
    )
    assert own == (1500, 1000)
    if not size:
        assert 730 <= prepared.width <= 760
        return
    assert min(prepared.size) == size and max(prepared.size) <= 1.03 * size
    left, top, right, bottom = 332, 132, 1068, 868
    expected = wide.crop((left, top, right, bottom)).resize(prepared.size, Image.Resampling.BILINEAR)
    near, far = round(0.2 * size), round(0.8 * size)
    difference = np.subtract(*(np.asarray(image.crop((near, near, far, far)), float) for image in (prepared, expected)))
    assert np.abs(difference).mean() < 2


def test_hardly_anything_lit_is_found_before_cropping() -> None:
    image = Image.new("RGB", (400, 300))
    image.paste((180, 90, 40), (100, 100, 150, 150))
    with pytest.raises(Unusable) as caught:
        prepare_photograph(encoded(image, "PNG"), 96, crop=True)
    assert caught.value.problem == "empty"


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_jpeg_2000(mode: str) -> None:
    image = Image.fromarray(np.asarray(photograph(1)))  # without what an earlier encoder has left in it
    prepared, own = prepare_photograph(encoded(image.convert(mode), "JPEG2000"), 0)
    np.testing.assert_array_equal(prepared, image.convert(mode).convert("RGB"))
    assert own == image.size
    with pytest.raises(Unusable):
        prepare_photograph(encoded(image.convert(mode), "JPEG2000")[:2000], 0)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG", "MPO"])
def test_the_first_picture_is_read_and_the_others_told(kind: str) -> None:
    pictures = [photograph(item) for item in range(3)]
    alone, _ = prepare_photograph(encoded(pictures[0], "JPEG" if kind == "MPO" else kind), 80)
    first, _ = prepare_photograph(encoded(pictures[0], kind, save_all=True, append_images=pictures[1:]), 80)
    assert first.info[PAGES] == "its file holds 3 pictures, of which the first was read"
    assert PAGES not in alone.info
    np.testing.assert_allclose(
        np.asarray(first, float), np.asarray(alone, float), atol=16 if kind in ("GIF", "WEBP") else 0
    )
