"""Draw the structures that a model segmented over their photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.catalogue.structures import Structures
from swcl_cli.reporting.figures.style import HIT, MISS

Colour = tuple[int, int, int]
COLOURS: tuple[Colour, ...] = (  # by the structures' order: the first two, blue and yellow, stand out most on a retina
    MISS, HIT, (255, 105, 180), (0, 200, 140), (170, 110, 255), (0, 255, 255), (255, 255, 255), (180, 255, 90),
    (90, 110, 255), (255, 170, 90),
)  # fmt: skip
DARK = 96  # a colour whose brightest channel is less is not seen on a photograph
SHARE = 0.45  # of the colour inside a structure; its outline has the colour alone


def overlay(
    photograph: NDArray[np.uint8], masks: Mapping[str, NDArray[np.bool_]], colours: Mapping[str, Colour]
) -> NDArray[np.uint8]:
    """Colour masks in a photograph: (H, W, 3) and (H, W) each, smaller ones over larger ones -> (H, W, 3)."""
    drawn = photograph.copy()
    width = max(1, round(min(photograph.shape[:2]) / 500))
    for name in sorted(masks, key=lambda name: -np.count_nonzero(masks[name])):
        mask = masks[name]
        drawn[mask] = ((1 - SHARE) * drawn[mask] + SHARE * np.array(colours[name])).astype(np.uint8)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, colours[name], width)
    return drawn


def colours_of(names: Sequence[str], structures: Structures) -> dict[str, Colour]:
    """Return a colour for each structure: that of people's own masks, where all have bright ones, each another."""
    own: dict[str, Colour] = {}
    for shade in structures.shades:
        if len(shade.names) == 1 and shade.colour:
            red, green, blue = bytes.fromhex(shade.colour[1:])
            own.setdefault(shade.names[0], (red, green, blue))
    bright = [colour for name, colour in own.items() if name in names and max(colour) >= DARK]
    if len(names) > 1 and len(bright) == len(set(bright)) == len(names):
        return {name: own[name] for name in names}
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}


def hexadecimal(colour: Colour) -> str:
    """Write a colour as `#rrggbb`."""
    return f"#{bytes(colour).hex()}"
