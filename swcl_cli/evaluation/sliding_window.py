"""Predict whole images by a network that was trained on windows (FACTS E7)."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad


def predict_windows(network: Callable[[Tensor], Tensor], image: Tensor, window: int, batch: int = 4) -> Tensor:
    """Average the logits of all windows over each pixel: (1, 3, H, W) -> (1, K, H, W), of any size.

    network: (B, 3, window, window) -> (B, K, window, window), called on at most `batch` windows at once. A side
    shorter than the window is continued by its edge pixels, and the logits there are cut off again.
    """
    height, width = image.shape[-2:]
    padded = pad(image, (0, max(window - width, 0), 0, max(window - height, 0)), mode="replicate")
    corners = [(y, x) for y in window_starts(padded.shape[-2], window) for x in window_starts(padded.shape[-1], window)]
    total: Tensor | None = None
    count = padded.new_zeros(1, 1, *padded.shape[-2:])
    for first in range(0, len(corners), batch):
        part = corners[first : first + batch]
        logits = network(torch.cat([padded[..., y : y + window, x : x + window] for y, x in part]))
        if total is None:
            total = logits.new_zeros(1, logits.shape[1], *padded.shape[-2:], dtype=torch.float32)
        for (y, x), window_logits in zip(part, logits, strict=True):
            total[0, :, y : y + window, x : x + window] += window_logits
            count[..., y : y + window, x : x + window] += 1
    assert total is not None  # an image has at least one window
    return (total / count)[..., :height, :width]


def window_starts(length: int, window: int) -> list[int]:
    """Return where windows start along a side of `length` >= window px: each floor(length / ceil(length / window)) px.

    The last window ends at the edge, also where the strides alone would leave up to a few pixels uncovered.
    """
    stride = length // -(-length // window)
    return sorted({*range(0, length - window, stride), length - window})
