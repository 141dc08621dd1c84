"""Prepare masks: lossless, at their own size, their values checked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.preparation.decoding import Unusable, load, open_image

MASK_THRESHOLD = 127  # FACTS E11
BETWEEN = (32, 224)
BETWEEN_SHARE = 0.01
VESSEL_SHARE = (0.005, 0.5)
CUP, RIM, BACKGROUND = 0, 128, 255  # FACTS 3, REFUGE; the disc is cup and rim
CUP_BELOW, DISC_BELOW = 100, 150
NEAR = 24  # grey levels: a lossy mask's values stay this near to the three
DISC_SHARE = (0.001, 0.2)


def prepare_mask(data: bytes, own: tuple[int, int]) -> Image.Image:
    """Turn the bytes of a two-valued mask into grey 0 and 255, at its own size.

    Palettes are resolved; 0/1 counts as 0/255. Raises Unusable where it has another size than its photograph (`own`),
    or its values are not two.
    """
    grey = _grey(data, own)
    if grey.max() == 1:
        grey = grey * np.uint8(255)
    between = float(((grey >= BETWEEN[0]) & (grey < BETWEEN[1])).mean())
    if between > BETWEEN_SHARE:
        raise Unusable("bad mask", f"{100 * between:.1f} % of the mask's pixels are neither black nor white")
    white = grey > MASK_THRESHOLD
    if not white.any():
        raise Unusable("bad mask", "the mask has no white pixel")
    return Image.fromarray(white.astype(np.uint8) * np.uint8(255))


def prepare_vessels(data: bytes, own: tuple[int, int]) -> Image.Image:
    """Prepare a two-valued mask of vessels. Raises Unusable, also where its share of white can't be that of vessels."""
    mask = prepare_mask(data, own)
    share = mask.histogram()[255] / (mask.width * mask.height)
    if not VESSEL_SHARE[0] <= share <= VESSEL_SHARE[1]:
        raise Unusable("bad mask", f"{100 * share:.1f} % of the mask is white: these are no vessels")
    return mask


def prepare_disc_and_cup(data: bytes, own: tuple[int, int]) -> Image.Image:
    """Prepare a mask of 0 cup, 128 rim and 255 background, with exactly these values (thresholds 100, 150, FACTS 3).

    Raises Unusable where it has another size than its photograph (`own`), other values, or no disc by its area.
    """
    grey = _grey(data, own)
    distance = np.abs(grey.astype(np.int16)[..., None] - np.array((CUP, RIM, BACKGROUND), np.int16)).min(axis=-1)
    foreign = float((distance > NEAR).mean())
    if foreign > BETWEEN_SHARE:
        raise Unusable("bad mask", f"{100 * foreign:.1f} % of the mask's pixels are none of {CUP}, {RIM}, {BACKGROUND}")
    share = float((grey < DISC_BELOW).mean())
    if not DISC_SHARE[0] <= share <= DISC_SHARE[1]:
        raise Unusable("bad mask", f"{100 * share:.2f} % of the mask is darker than {DISC_BELOW}: no optic disc")
    return Image.fromarray(
        np.select([grey < CUP_BELOW, grey < DISC_BELOW], [np.uint8(CUP), np.uint8(RIM)], np.uint8(BACKGROUND))
    )


def prepare_lesions(data: bytes, own: tuple[int, int]) -> Image.Image:
    """Turn the bytes of a lesion mask into grey values as they are stored (swap/lesion_masks.py), and nothing else.

    Raises Unusable where it can't be decoded, or has another size than its photograph (`own`).
    """
    image = open_image(data)
    load(image, data)
    if image.size != own:
        sizes = f"{image.width} x {image.height}, its photograph {own[0]} x {own[1]}"
        raise Unusable("bad mask", f"the lesion mask is {sizes}")
    return Image.fromarray(np.asarray(image.convert("L")))


def _grey(data: bytes, own: tuple[int, int]) -> NDArray[np.uint8]:
    image = open_image(data)
    if image.size != own:
        raise Unusable("bad mask", f"the mask is {image.width} x {image.height}, its photograph {own[0]} x {own[1]}")
    load(image, data)
    return np.asarray(image.convert("L"))


# How each kind of mask is prepared, by its name in a job.
MASKS: dict[str, Callable[[bytes, tuple[int, int]], Image.Image]] = {
    "mask": prepare_mask,
    "vessels": prepare_vessels,
    "disc_and_cup": prepare_disc_and_cup,
    "fov": prepare_mask,
    "lesions": prepare_lesions,
}
