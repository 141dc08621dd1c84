"""Phantom eyes, and copies of them as people make copies, for the tests of the audit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import draw_patient

SIZE = 224


@cache
def eyes(patient: int) -> tuple[Image.Image, Image.Image]:
    """The left and the right eye of a patient."""
    left, right = draw_patient(0, patient, SIZE, choose_findings(0, patient))
    return Image.fromarray(left.image), Image.fromarray(right.image)


def array(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))


def compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(BytesIO(buffer.getvalue())).convert("RGB")


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def cropped(image: Image.Image) -> Image.Image:
    """A tenth less on each side of the frame, not in its middle."""
    width, height = round(0.9 * image.width), round(0.9 * image.height)
    return image.crop((image.width - width - 4, 3, image.width - 4, 3 + height))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized": lambda image: resized(image, 0.5),
    "compressed": lambda image: compressed(image, 50),
    "cropped": cropped,
    "brighter": lambda image: image.point(lambda level: min(round(1.3 * level), 255)),
    "darker": lambda image: image.point(lambda level: round(0.7 * level)),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 90": lambda image: image.transpose(Image.Transpose.ROTATE_270),  # Pillow turns against the clock
    "turned by 180": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "all": lambda image: compressed(
        resized(cropped(image).transpose(Image.Transpose.ROTATE_90).point(lambda level: round(0.8 * level)), 0.6), 60
    ),
}


def taken(image: Image.Image, degrees: float = 0.0, across: int = 0, light: float = 0.0) -> Image.Image:
    """Photograph an eye once more: closer, so that it fills the field of view when it is turned and shifted under it.

    light: how much brighter the right border is than the left one.
    """
    pixels = array(image)
    field = pixels.max(axis=2) > 15
    margin = round(image.width * 0.1)
    near = image.crop((margin, margin, image.width - margin, image.height - margin)).resize(image.size)
    seen = array(near.rotate(degrees, Image.Resampling.BICUBIC, translate=(across, 0))).astype(np.float64)
    lit = seen * np.linspace(1 - light / 2, 1 + light / 2, image.width)[None, :, None]
    return Image.fromarray((np.clip(lit, 16, 255) * field[..., None]).astype(np.uint8))


def taken_twice(patient: int, side: int = 0) -> tuple[Image.Image, Image.Image]:
    """Two photographs of one eye."""
    eye = eyes(patient)[side]
    return taken(eye), taken(eye, degrees=2.0, across=9, light=0.3)
