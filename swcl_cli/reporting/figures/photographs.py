"""Show a photograph in a figure: small, without axes, in its own coordinates."""

from __future__ import annotations

import cv2
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

SHOWN_SIDE = 320  # pixels; twice as many make a large report a fifth slower to draw


def show(axes: Axes, image: NDArray[np.uint8], words: str = "", size: float = 9) -> None:
    """Draw an image (H, W, 3), at most SHOWN_SIDE pixels high, on axes that count its own pixels."""
    height, width = image.shape[:2]
    scale = SHOWN_SIDE / height
    shown = cv2.resize(image, (round(width * scale), SHOWN_SIDE), interpolation=cv2.INTER_AREA) if scale < 1 else image
    axes.imshow(shown, extent=(0, width, height, 0))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(words, fontsize=size)
