"""Make views of a photograph: random views for training, fixed views for evaluation.

uint8 RGB (H, W, 3) in, float32 (3, size, size) out, normalised. `rng` comes from `chance.generator`, keyed by
(seed, purpose, epoch, item, view), so a view does not depend on which worker makes it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swcl_cli.data import pixels
from swcl_cli.data.colour import MEAN, STD, Colour
from swcl_cli.data.pixels import Image, center_crop_box, normalise

__all__ = [
    "IGNORED",
    "center_view",
    "classification_pixels",
    "classification_view",
    "contrastive_pixels",
    "contrastive_view",
    "flipped_pixels",
    "labeler_pixels",
    "labeler_view",
    "normalise",
    "padded_view",
    "segmentation_view",
    "squashed_view",
]

View = NDArray[np.float32]

IGNORED = 0xFFFF  # of mask pixels outside the photograph, or of which nobody knows what they are; no loss, no score
SMALLEST = 0.8  # share of the image's area that a random crop has at least
LOG_RATIO = (math.log(3 / 4), math.log(4 / 3))
ATTEMPTS = 10


def contrastive_view(
    image: Image,
    size: int,
    rng: np.random.Generator,
    mean: Colour = MEAN,
    std: Colour = STD,
    flip: bool = True,
    smallest: float = SMALLEST,
) -> View:
    """Make the view of `contrastive_pixels`, normalised."""
    return normalise(contrastive_pixels(image, size, rng, flip, smallest), mean, std)


def contrastive_pixels(
    image: Image, size: int, rng: np.random.Generator, flip: bool = True, smallest: float = SMALLEST
) -> Image:
    """Crop, flip (p .5), jitter (p .8), grey (p .2), blur (p .5), solarize (p .1) (FACTS C5): uint8 (size, size, 3).

    smallest: of a crop, as a share of the image's area; SimCLR's is 0.08. Without `flip` all other draws stay what
    they are (FACTS C6). Sigma of the blur is 0.1 to 2 px at size 224, and in proportion at others.
    """
    view = _resized_crop(image, size, rng, smallest)
    mirrored = rng.random() < 0.5
    view = _jitter(pixels.flip(view) if mirrored and flip else view, rng)
    view = _randomly(0.2, rng, pixels.to_grey, view)
    if rng.random() < 0.5:
        view = pixels.gaussian_blur(view, rng.uniform(0.1, 2.0) * size / 224)
    return _randomly(0.1, rng, pixels.solarize, view)


def flipped_pixels(
    image: Image, size: int, rng: np.random.Generator, flip: bool = True, smallest: float = SMALLEST
) -> Image:
    """Crop and flip (p .5) alone (FACTS D2): uint8 (size, size, 3). flip, smallest: as above."""
    view = _resized_crop(image, size, rng, smallest)
    mirrored = rng.random() < 0.5
    return pixels.flip(view) if mirrored and flip else view


def classification_pixels(
    image: Image, size: int, rng: np.random.Generator, flip: bool = True, smallest: float = SMALLEST
) -> Image:
    """Crop, flip (p .5), grey (p .2) (FACTS C12, E4): uint8 (size, size, 3). flip, smallest: as above."""
    return _randomly(0.2, rng, pixels.to_grey, flipped_pixels(image, size, rng, flip, smallest))


def labeler_view(image: Image, size: int, rng: np.random.Generator, mean: Colour = MEAN, std: Colour = STD) -> View:
    """Make the view of `labeler_pixels`, normalised."""
    return normalise(labeler_pixels(image, size, rng), mean, std)


def labeler_pixels(image: Image, size: int, rng: np.random.Generator) -> Image:
    """Crop, flip (p .5), jitter (p .8) (FACTS B3): uint8 (size, size, 3)."""
    view = _resized_crop(image, size, rng)
    return _jitter(_randomly(0.5, rng, pixels.flip, view), rng)


def classification_view(
    image: Image, size: int, rng: np.random.Generator, mean: Colour = MEAN, std: Colour = STD
) -> View:
    """Make the view of `classification_pixels`, normalised (FACTS E4)."""
    return normalise(classification_pixels(image, size, rng), mean, std)


def segmentation_view(
    image: Image,
    mask: NDArray[np.unsignedinteger[Any]],
    size: int,
    rng: np.random.Generator,
    mean: Colour = MEAN,
    std: Colour = STD,
    place: tuple[int, int] | None = None,
) -> tuple[View, NDArray[np.int64]]:
    """Crop and flip (p .5) image and mask alike, without resizing, then grey the image (p .2) (FACTS E5).

    mask: (H, W), out as int64 (size, size). A side shorter than `size` is put at a random place and
    surrounded by black, as a photograph's own background is; the mask is IGNORED there. place: row and column of a
    pixel that the view is to hold.
    """
    row, column = place or (None, None)
    top, height, above = _random_span(image.shape[0], size, rng, row)
    left, width, before = _random_span(image.shape[1], size, rng, column)
    inside = np.s_[above : above + height, before : before + width]
    view, labels = np.zeros((size, size, 3), np.uint8), np.full((size, size), IGNORED, np.int64)
    view[inside] = image[top : top + height, left : left + width]
    labels[inside] = mask[top : top + height, left : left + width]
    if rng.random() < 0.5:
        view, labels = pixels.flip(view), labels[:, ::-1].copy()
    return normalise(_randomly(0.2, rng, pixels.to_grey, view), mean, std), labels


def center_view(image: Image, resize: int, crop: int, mean: Colour = MEAN, std: Colour = STD) -> View:
    """Resize the shorter side to `resize` px, then crop the central `crop` px (paper IV; torchvision's rounding)."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    if shorter != resize:
        image = pixels.resize(image, int(width * resize / shorter), int(height * resize / shorter))
    height, width = image.shape[:2]
    x, y = center_crop_box(height, width, crop)
    return normalise(image[y : y + crop, x : x + crop], mean, std)


def padded_view(image: Image, size: int, mean: Colour = MEAN, std: Colour = STD) -> View:
    """Resize the longer side to `size` px, and put the whole photograph on the centre of a black square."""
    height, width = image.shape[:2]
    longer = max(height, width)
    height, width = (max(round(side * size / longer), 1) for side in (height, width))
    top, left = (size - height) // 2, (size - width) // 2
    view = np.zeros((size, size, 3), np.uint8)
    view[top : top + height, left : left + width] = pixels.resize(image, width, height)
    return normalise(view, mean, std)


def squashed_view(image: Image, size: int, mean: Colour = MEAN, std: Colour = STD) -> View:
    """Resize the whole photograph to a square of `size` px, whatever its aspect."""
    return normalise(pixels.resize(image, size, size), mean, std)


def crop_box(
    height: int, width: int, rng: np.random.Generator, smallest: float = SMALLEST
) -> tuple[int, int, int, int]:
    """Draw a random crop (x, y, width, height), as torchvision's RandomResizedCrop does.

    It has a share of `smallest` to 1 of the area, and an aspect of 3/4 to 4/3. After ten boxes that don't fit: the
    largest central box of a permitted aspect.
    """
    for _ in range(ATTEMPTS):
        area = height * width * rng.uniform(smallest, 1.0)
        ratio = math.exp(rng.uniform(*LOG_RATIO))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return (width - w) // 2, (height - h) // 2, w, h


def _resized_crop(image: Image, size: int, rng: np.random.Generator, smallest: float = SMALLEST) -> Image:
    x, y, width, height = crop_box(image.shape[0], image.shape[1], rng, smallest)
    return pixels.resize(image[y : y + height, x : x + width], size, size)


def _jitter(image: Image, rng: np.random.Generator) -> Image:
    """Jitter colours as torchvision's ColorJitter(.4, .4, .4, .1), p .8: four adjustments in random order."""
    if rng.random() >= 0.8:
        return image
    brightness, contrast, saturation = rng.uniform(0.6, 1.4, size=3)
    adjustments = (
        (pixels.adjust_brightness, brightness),
        (pixels.adjust_contrast, contrast),
        (pixels.adjust_saturation, saturation),
        (pixels.adjust_hue, rng.uniform(-0.1, 0.1)),
    )
    for index in rng.permutation(4):
        adjust, amount = adjustments[index]
        image = adjust(image, float(amount))
    return image


def _randomly(probability: float, rng: np.random.Generator, operation: Callable[[Image], Image], image: Image) -> Image:
    return operation(image) if rng.random() < probability else image


def _random_span(length: int, size: int, rng: np.random.Generator, held: int | None) -> tuple[int, int, int]:
    """Draw how image and view overlap along a side, at random: (start in the image, extent, start in the view).

    held: a place along the side that is within.
    """
    extent = min(length, size)
    first, last = 0, length - extent
    if held is not None:
        first, last = max(first, held - extent + 1), min(last, held)
    return int(rng.integers(first, last + 1)), extent, int(rng.integers(size - extent + 1))
