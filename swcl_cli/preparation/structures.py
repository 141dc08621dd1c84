"""Prepare masks of several structures: one grey image a photograph, whose values a `Structures` describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.preparation.decoding import Unusable, to_rgb
from swcl_cli.preparation.masks import BAD_MASK, laid_out, prepare_mask, upright_mask

STRUCTURES = "structures"  # the kind of mask, where one file shows all of them
LAYER = "structure "  # before a name: the two-valued mask of this structure, among a job's inputs
FOREIGN = 0xFFFF  # in place of a code
FEW = 8  # foreign values; more of them are edges between colours, not colours of their own
CHANNELS = (16, 8, 0)  # where red, green and blue begin in a number of 24 bits

Pixels = NDArray[np.int32]  # (H, W): values, or colours as numbers of 24 bits


def prepare_structures(
    contents: Mapping[str, bytes], own: tuple[int, int], structures: Structures, nearest: bool
) -> Image.Image:
    """Turn the masks among a job's inputs into one of codes, at its own size.

    nearest: pixels of no known value take the nearest one. Raises Unusable where it has another size than its
    photograph (`own`), values that are not known, or is of pixels alone of which nobody knows what they are.
    """
    if STRUCTURES not in contents:
        return _merged(dict(_layers(contents, own, nearest)), own, structures)
    codes = _codes(contents[STRUCTURES], own, structures, nearest)
    if np.isin(codes, structures.ignored).all():
        raise Unusable(BAD_MASK, "all of its pixels are to be ignored")
    return Image.fromarray(codes.astype(np.uint8))


def pixels_of(mask: Image.Image, structures: Structures) -> list[int]:
    """Count the pixels of each structure in a prepared mask, and those of the whole mask."""
    counts = np.bincount(np.asarray(mask).ravel(), minlength=max(structures.codes) + 1)
    parts = [int(counts[list(structures.codes_of(name))].sum()) for name in structures.names]
    return [*parts, mask.width * mask.height]


def _layers(contents: Mapping[str, bytes], own: tuple[int, int], nearest: bool) -> Iterator[tuple[str, Image.Image]]:
    """Prepare the two-valued masks, by their structures. Raises Unusable, which names the structure."""
    for kind, data in contents.items():
        if kind.startswith(LAYER):
            name = kind.removeprefix(LAYER)
            try:
                yield name, prepare_mask(data, own, nearest)
            except Unusable as unusable:
                raise Unusable(unusable.problem, f"{name}: {unusable.detail}") from unusable


def _merged(layers: Mapping[str, Image.Image], size: tuple[int, int], structures: Structures) -> Image.Image:
    """Put two-valued masks together, by their structures: bit k of a pixel is set where the k-th structure is."""
    codes = np.zeros(size[::-1], np.uint16)
    for number, name in enumerate(structures.names):
        if name in layers:
            codes |= np.asarray(layers[name]).astype(bool).astype(np.uint16) << number
    return Image.fromarray(codes.astype(np.uint8) if max(structures.codes) < 256 else codes)


def _codes(data: bytes, own: tuple[int, int], structures: Structures, nearest: bool) -> NDArray[np.uint16]:
    """Return the code of each pixel (H, W). Raises Unusable where a value is not known."""
    by_colour = structures.shades[0].value is None
    known = {key_of(shade): shade.code for shade in structures.shades}
    pixels = _colours(data, own) if by_colour else _values(data, own, set(known))
    table = np.full(1 << 24 if by_colour else 1 << 16, FOREIGN, np.uint16)
    table[list(known)] = list(known.values())
    codes: NDArray[np.uint16] = table[pixels]
    foreign = codes == FOREIGN
    if foreign.any():
        values, places, counts = np.unique(pixels[foreign], return_inverse=True, return_counts=True)
        values, counts = values.astype(np.int32), counts.astype(np.int64)
        if not nearest:
            raise Unusable(BAD_MASK, _told(values, counts, foreign.size, by_colour))
        codes[foreign] = np.array(list(known.values()), np.uint16)[_nearest(values, list(known), by_colour)][places]
    return codes


def key_of(shade: Shade) -> int:
    """Return the value of a shade in people's own masks, or its colour as a number of 24 bits."""
    return int(str(shade.colour)[1:], 16) if shade.value is None else shade.value


def _told(values: Pixels, counts: NDArray[np.int64], pixels: int, by_colour: bool) -> str:
    """Say which values a mask holds that the classes lack, or that it has anti-aliased edges."""
    count, most = int(counts.sum()), int(values[counts.argmax()])
    kind, shown = ("colours", f"#{most:06x}") if by_colour else ("values", str(most))
    part = f"{count:,} of the mask's pixels ({100 * count / pixels:.2g} %)"
    if len(values) > FEW:
        return (
            f"{part} have {len(values):,} {kind} that the classes lack, between those that they have: edges that were "
            "smoothed, or a lossy copy. --mask-edges nearest takes the nearest ones"
        )
    others = f" or {len(values) - 1} other {kind} that the classes lack" if len(values) > 1 else ""
    lacking = "" if others else ", which the classes lack"
    return f"{part} are {shown}{others}{lacking}: add it to --mask-classes, perhaps as ignore or background"


def _nearest(values: Pixels, known: list[int], by_colour: bool) -> Pixels:
    """Return the place of the known value that is nearest to each value (V,); of colours by red, green and blue."""
    classes = np.array(known, np.int32)
    distance = np.zeros((len(values), len(known)), np.int32)
    for channel in CHANNELS if by_colour else (0,):
        distance += ((values[:, None] >> channel & 255) - (classes >> channel & 255)) ** 2
    places: Pixels = distance.argmin(axis=1).astype(np.int32)
    return places


def _colours(data: bytes, own: tuple[int, int]) -> Pixels:
    """Read a mask's colours (H, W) as numbers of 24 bits."""
    red, green, blue = (np.asarray(channel).astype(np.int32) for channel in upright_mask(data, own).split())
    pixels: Pixels = red << 16 | green << 8 | blue
    return pixels


def _values(data: bytes, own: tuple[int, int], known: set[int]) -> Pixels:
    """Read a mask's values (H, W): indices of its palette, or its grey levels.

    A palette of greys alone, of which not all indices are known, is of grey levels.
    """
    image = laid_out(data, own)
    if image.mode == "P" and (set(np.unique(np.asarray(image)).tolist()) <= known or not is_grey(image)):
        return np.asarray(image).astype(np.int32)
    if image.mode == "1" and 255 not in known:
        return np.asarray(image).astype(np.int32)
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int32)
        if values.min() < 0 or values.max() > 255:
            raise Unusable(
                BAD_MASK, f"it holds values from {values.min():,} to {values.max():,}: only 0 to 255 are read"
            )
        return values
    rgb = np.asarray(to_rgb(image, data))
    if (rgb != rgb[..., :1]).any():
        colour = rgb[(rgb != rgb[..., :1]).any(axis=-1)][0]
        raise Unusable(BAD_MASK, f"it has colours, such as #{bytes(colour).hex()}: name colours in --mask-classes")
    return rgb[..., 0].astype(np.int32)


def is_grey(image: Image.Image) -> bool:
    """Return whether all colours of a palette that its image uses are greys."""
    colours = image.convert("RGB").getcolors(1 << 16) or []
    return all(red == green == blue for _, (red, green, blue) in colours)  # type: ignore[misc]
