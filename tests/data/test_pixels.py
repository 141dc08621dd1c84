"""Each operation against torchvision's (v2, uint8), on images harder than real ones."""

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as reference

from swcl_cli.data import pixels

Image = NDArray[np.uint8]


def photograph(height: int, width: int, seed: int = 0) -> Image:
    """Smooth shading, fine lines, noise, and a dark surround."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (6, 6, 3)) * (255, 170, 110)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    for _ in range(25):
        start, end = rng.integers(0, (width, height), (2, 2)).tolist()
        cv2.line(image, start, end, rng.uniform(0, 255, 3).tolist(), int(rng.integers(1, 4)), cv2.LINE_AA)
    disc = np.hypot(*np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]) < 1.1
    noisy: NDArray[np.float64] = image * disc[..., None] + rng.normal(0, 2, image.shape)
    return noisy.clip(0, 255).astype(np.uint8)


PHOTOGRAPHS = {"even": photograph(224, 224, 0), "odd": photograph(201, 223, 1)}
NOISE = np.random.default_rng(2).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def tensor(image: Image) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)


def error(ours: Image, theirs: torch.Tensor) -> float:
    expected = theirs.permute(1, 2, 0).numpy()
    assert ours.dtype == expected.dtype == np.uint8 and ours.shape == expected.shape
    return float(np.abs(ours.astype(int) - expected).mean())


@pytest.fixture(params=[*PHOTOGRAPHS, "noise"])
def image(request: pytest.FixtureRequest) -> Image:
    return NOISE if request.param == "noise" else PHOTOGRAPHS[request.param]


FACTORS = (0.6, 0.85, 1.0, 1.2, 1.4)


@pytest.mark.parametrize("factor", FACTORS)
def test_brightness(image: Image, factor: float) -> None:
    assert error(pixels.adjust_brightness(image, factor), reference.adjust_brightness(tensor(image), factor)) == 0


@pytest.mark.parametrize("factor", FACTORS)
def test_contrast(image: Image, factor: float) -> None:
    assert error(pixels.adjust_contrast(image, factor), reference.adjust_contrast(tensor(image), factor)) < 0.3


@pytest.mark.parametrize("factor", FACTORS)
def test_saturation(image: Image, factor: float) -> None:
    assert error(pixels.adjust_saturation(image, factor), reference.adjust_saturation(tensor(image), factor)) < 0.5


@pytest.mark.parametrize("shift", [-0.1, -0.037, 0.0, 0.013, 0.08, 0.1])
def test_hue(image: Image, shift: float) -> None:
    assert error(pixels.adjust_hue(image, shift), reference.adjust_hue(tensor(image), shift)) < 0.5


def test_hue_of_pure_colours() -> None:
    red = np.full((4, 4, 3), (255, 0, 0), np.uint8)
    for shift, colour in {1 / 3: (0, 255, 0), -1 / 3: (0, 0, 255), 0.5: (0, 255, 255)}.items():
        np.testing.assert_allclose(pixels.adjust_hue(red, shift)[0, 0], colour, atol=3)


def test_grey(image: Image) -> None:
    assert error(pixels.to_grey(image), reference.rgb_to_grayscale(tensor(image), 3)) < 0.1
    assert np.ptp(pixels.to_grey(image), axis=2).max() == 0


@pytest.mark.parametrize("sigma", [0.1, 0.4, 0.8, 1.3, 2.0])
def test_blur_with_a_kernel_of_23(image: Image, sigma: float) -> None:
    assert error(pixels.gaussian_blur(image, sigma), reference.gaussian_blur(tensor(image), [23, 23], [sigma])) < 0.4


def test_solarize(image: Image) -> None:
    theirs = reference.solarize(tensor(image).float() / 255, 0.5).mul(255).round().to(torch.uint8)
    assert error(pixels.solarize(image), theirs) == 0


def test_flip(image: Image) -> None:
    assert error(pixels.flip(image), reference.horizontal_flip(tensor(image))) == 0


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(
    ("width", "height"), [(300, 260), (224, 224), (210, 240), (190, 180), (150, 160), (112, 112), (64, 50)]
)
def test_resize_up_and_down(name: str, width: int, height: int) -> None:
    image = PHOTOGRAPHS[name]
    theirs = reference.resize(tensor(image), [height, width], antialias=True)
    assert error(pixels.resize(image, width, height), theirs) < 1.5


def test_normalise(image: Image) -> None:
    mean, std = (0.3, 0.2, 0.1), (0.3, 0.25, 0.15)
    theirs = reference.normalize(tensor(image).float() / 255, list(mean), list(std))
    ours = pixels.normalise(image, mean, std)
    assert ours.dtype == np.float32 and ours.flags.c_contiguous
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_takes_crops_and_mirrored_views_without_copying() -> None:
    image = PHOTOGRAPHS["even"]
    seen = image[10:110, 200:99:-1]
    for operation in (pixels.flip, pixels.to_grey, pixels.solarize, lambda crop: pixels.resize(crop, 64, 64)):
        np.testing.assert_array_equal(operation(seen), operation(seen.copy()))


def test_takes_images_that_may_not_be_written_to() -> None:
    image = PHOTOGRAPHS["even"].copy()
    image.flags.writeable = False
    for operation in (pixels.flip, pixels.to_grey, pixels.solarize, lambda given: pixels.resize(given, 64, 64)):
        np.testing.assert_array_equal(operation(image), operation(image.copy()))
