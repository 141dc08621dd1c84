"""Prepare masks: lossless, at their own size, their values checked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from swcl_cli.preparation.decoding import Unusable, load, open_image, orientation_of, pages_of, to_rgb
from swcl_cli.preparation.photograph import DARK, UPRIGHT

BAD_MASK = "bad mask"
NEAREST = "mask of the nearest"  # the kind of two-valued masks of which each pixel counts as black or white
BLACK = (0, 0, 0)
MASK_THRESHOLD = 127  # FACTS E11
BETWEEN = (32, 224)
BETWEEN_SHARE = 0.01
VESSEL_SHARE = (0.005, 0.5)
CUP, RIM, BACKGROUND = 0, 128, 255  # FACTS 3, REFUGE; the disc is cup and rim
CUP_BELOW, DISC_BELOW = 100, 150
NEAR = 24  # grey levels: a lossy mask's values stay this near to the three
DISC_SHARE = (0.001, 0.2)
MOST_COVERED = 0.5  # of the field of view: a mask of more is black on white, or of something else


def prepare_mask(data: bytes, own: tuple[int, int] | None, nearest: bool | None = None) -> Image.Image:
    """Turn the bytes of a two-valued mask into grey 0 and 255, at its own size; an empty one stays empty.

    Of two colours of which one is black the other is the foreground, whatever it is: 0/1 counts as 0/255. Where there
    are more, lossy compression made them, and those above grey 127 are the foreground. Raises Unusable where it has
    another size than its photograph (`own`), or too many pixels are neither black nor white. nearest: whether each of
    these counts as the nearer one, where people can choose it.
    """
    rgb = upright_mask(data, own)
    colours = rgb.getcolors(2)
    if colours and BLACK in {colour for _, colour in colours}:
        return Image.fromarray(np.asarray(rgb).any(axis=-1).astype(np.uint8) * np.uint8(255))
    grey = np.asarray(rgb.convert("L"))
    between = (grey >= BETWEEN[0]) & (grey < BETWEEN[1])
    if between.mean() > BETWEEN_SHARE and not nearest:
        most = int(np.bincount(grey[between]).argmax())
        choice = ": --mask-edges nearest takes the nearer, --mask-classes names structures" if nearest is False else ""
        raise Unusable(
            BAD_MASK,
            f"{between.sum():,} of the mask's pixels ({100 * between.mean():.1f} %) are neither black nor white, most "
            f"of them grey {most}{choice}",
        )
    return Image.fromarray((grey > MASK_THRESHOLD).astype(np.uint8) * np.uint8(255))


def prepare_field(data: bytes, own: tuple[int, int]) -> Image.Image:
    """Prepare a two-valued mask of the field of view. Raises Unusable, also where it is empty."""
    mask = prepare_mask(data, own)
    if mask.getbbox() is None:
        raise Unusable(BAD_MASK, "the mask has no white pixel")
    return mask


def prepare_vessels(data: bytes, own: tuple[int, int]) -> Image.Image:
    """Prepare a two-valued mask of vessels. Raises Unusable, also where its share of white can't be that of vessels."""
    mask = prepare_mask(data, own)
    share = mask.histogram()[255] / (mask.width * mask.height)
    if not VESSEL_SHARE[0] <= share <= VESSEL_SHARE[1]:
        raise Unusable(BAD_MASK, f"{100 * share:.1f} % of the mask is white: these are no vessels")
    return mask


def prepare_disc_and_cup(data: bytes, own: tuple[int, int]) -> Image.Image:
    """Prepare a mask of 0 cup, 128 rim and 255 background, with exactly these values (thresholds 100, 150, FACTS 3).

    Raises Unusable where it has another size than its photograph (`own`), other values, or no disc by its area.
    """
    grey = np.asarray(upright_mask(data, own).convert("L"))
    distance = np.abs(grey.astype(np.int16)[..., None] - np.array((CUP, RIM, BACKGROUND), np.int16)).min(axis=-1)
    foreign = float((distance > NEAR).mean())
    if foreign > BETWEEN_SHARE:
        raise Unusable(BAD_MASK, f"{100 * foreign:.1f} % of the mask's pixels are none of {CUP}, {RIM}, {BACKGROUND}")
    share = float((grey < DISC_BELOW).mean())
    if not DISC_SHARE[0] <= share <= DISC_SHARE[1]:
        raise Unusable(BAD_MASK, f"{100 * share:.2f} % of the mask is darker than {DISC_BELOW}: no optic disc")
    return Image.fromarray(
        np.select([grey < CUP_BELOW, grey < DISC_BELOW], [np.uint8(CUP), np.uint8(RIM)], np.uint8(BACKGROUND))
    )


def prepare_lesions(data: bytes, own: tuple[int, int]) -> Image.Image:
    """Turn the bytes of a lesion mask into grey values as they are stored (swap/lesion_masks.py), and nothing else.

    Raises Unusable where it can't be decoded, or has another size than its photograph (`own`).
    """
    return Image.fromarray(np.asarray(upright_mask(data, own, "lesion mask").convert("L")))


def covered(mask: Image.Image, photograph: Image.Image) -> float:
    """Return the share of the photograph's field of view that a mask covers, 0 to 1; the two may differ in size."""
    field = np.asarray(photograph).max(axis=-1) > DARK
    small = np.asarray(mask.resize(photograph.size, Image.Resampling.NEAREST))
    return float(small[field].astype(bool).mean()) if field.any() else 0.0


def upright_mask(data: bytes, own: tuple[int, int] | None, name: str = "mask") -> Image.Image:
    """Decode a mask as its photograph: upright by EXIF, alpha over black. RGB; raises Unusable.

    own: the size of its photograph, which it must have; None: any. name: what a message calls it.
    """
    image = _decoded(data, name)
    rgb = _turned(to_rgb(image, data), orientation_of(image), own, name)
    if rgb.getbbox() is None and image.has_transparency_data and _is_drawn(image):
        raise Unusable(BAD_MASK, "it is drawn in black on nothing (transparent): save it as white on black")
    return rgb


def laid_out(data: bytes, own: tuple[int, int] | None) -> Image.Image:
    """Decode a mask as `upright_mask` does, its values as they are stored."""
    image = _decoded(data, "mask")
    return _turned(image, orientation_of(image), own, "mask")


def _decoded(data: bytes, name: str) -> Image.Image:
    """Decode the only picture in a file. Raises Unusable where there are more, since which is meant is not known."""
    image = open_image(data)
    if (pages := pages_of(image)) > 1:
        raise Unusable(BAD_MASK, f"the {name}'s file holds {pages:,} pictures: save the one that is meant alone")
    load(image, data)
    return image


def _turned(image: Image.Image, orientation: int, own: tuple[int, int] | None, name: str) -> Image.Image:
    """Turn a mask upright. Raises Unusable where it has not the size `own`."""
    turned = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
    if own and turned.size != own:
        sizes = f"{turned.width} x {turned.height}, its photograph {own[0]} x {own[1]}"
        raise Unusable(BAD_MASK, f"the {name} is {sizes}")
    return turned


def _is_drawn(image: Image.Image) -> bool:
    """Return whether an image has transparent pixels and others."""
    low, high = image.convert("RGBA").getchannel("A").getextrema()
    return low != high


# How each kind of mask is prepared, by its name in a job.
MASKS: dict[str, Callable[[bytes, tuple[int, int]], Image.Image]] = {
    "mask": partial(prepare_mask, nearest=False),
    NEAREST: partial(prepare_mask, nearest=True),
    "vessels": prepare_vessels,
    "disc_and_cup": prepare_disc_and_cup,
    "fov": prepare_field,
    "lesions": prepare_lesions,
}
