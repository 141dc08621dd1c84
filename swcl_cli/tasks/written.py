"""Write the structures that a model finds as people's own masks have them: in their values and colours."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.catalogue.structures import Shade, Structures


def as_given(masks: Mapping[str, NDArray[np.bool_]], structures: Structures) -> Image.Image | None:
    """Put masks (H, W) of all structures into one image of the values that people's own masks have.

    It is of indices with their palette, of grey values or of colours, as theirs are. None where some of the structures,
    or several at a pixel, have no value of their own.
    """
    shades = _shades(structures)
    if shades is None:
        return None
    numbers = np.zeros(next(iter(masks.values())).shape, np.uint16)
    for place, name in enumerate(structures.names):
        if structures.exclusive:
            numbers[masks[name]] = place + 1
        else:
            numbers |= masks[name].astype(np.uint16) << place
    values = [shade.value for shade in shades if shade.value is not None]
    colours = [tuple(bytes.fromhex(shade.colour[1:])) for shade in shades if shade.colour]
    if len(values) < len(shades):
        return Image.fromarray(np.array(colours, np.uint8)[numbers])
    image = Image.fromarray(np.array(values, np.uint8)[numbers])
    if len(colours) == len(shades):
        palette = np.zeros((256, 3), np.uint8)
        palette[values] = colours
        image.putpalette(palette.ravel().tolist())
    return image


def _shades(structures: Structures) -> list[Shade] | None:
    """List the shade of each number that a pixel may have, see `read_structures`; None where one is lacking."""
    names = structures.names
    told = [shade for shade in structures.shades if not shade.ignored and (shade.value is not None or shade.colour)]
    first = {frozenset(shade.names): shade for shade in reversed(told)}
    most = 1 if structures.exclusive else len(names)
    if len(first) < (len(names) + 1 if structures.exclusive else 1 << min(len(names), 16)):
        return None
    sets = [frozenset(part) for count in range(most + 1) for part in combinations(names, count)]
    if not structures.exclusive:
        sets.sort(key=lambda part: sum(1 << names.index(name) for name in part))
    return [first[part] for part in sets] if all(part in first for part in sets) else None
