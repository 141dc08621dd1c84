"""Draw the structures that a model segmented over their photograph."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.reporting.figures.style import HIT, MISS

COLOURS = (MISS, HIT)  # of the first structure and the second: blue and yellow stand out on a retina
SHARE = 0.45  # of the colour inside a structure; its outline has the colour alone


def overlay(photograph: NDArray[np.uint8], masks: Iterable[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Colour masks in a photograph: (H, W, 3) and (H, W) each, later ones over earlier ones -> (H, W, 3)."""
    drawn = photograph.copy()
    width = max(1, round(min(photograph.shape[:2]) / 500))
    for number, mask in enumerate(masks):
        colour = COLOURS[number % len(COLOURS)]
        drawn[mask] = ((1 - SHARE) * drawn[mask] + SHARE * np.array(colour)).astype(np.uint8)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, colour, width)
    return drawn
