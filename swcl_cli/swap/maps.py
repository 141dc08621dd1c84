"""Score photographs by the maps of the labeler's abnormal class, averaged over the five crops (paper III-B)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from swcl_cli.data.colour import Colour
from swcl_cli.data.loaders import make_loader
from swcl_cli.data.photographs import Squares
from swcl_cli.data.pixels import normalise
from swcl_cli.models.cam import abnormal_probability_map
from swcl_cli.swap.crops import five_crops
from swcl_cli.swap.rows import Lying

GREY = 15  # of 255: pixels that are no brighter count as background (FACTS A6)


def brightness(images: Tensor) -> Tensor:
    """Add up the normalised channels: (N, 3, S, S) -> (N, S, S). In one order, so that equal pixels have equal sums."""
    red, green, blue = images.unbind(dim=1)
    return red + green + blue


def laid(maps: Tensor, rotated: Tensor, right: Tensor) -> Tensor:
    """Turn the maps (N, S, S) of photographs that lie upside down, (N,), by 180 degrees, then exchange left and right
    in those of right eyes, (N,), so that all eyes lie alike (FACTS A8).
    """
    upright = torch.where(rotated[:, None, None], maps.flip(-1, -2), maps)
    return torch.where(right[:, None, None], upright.flip(-1), upright)


def lesion_scores(maps: Tensor) -> Tensor:
    """Average maps of the abnormal class, laid alike, over the five crops: (N, S, S) -> (N, 5)."""
    side = maps.shape[-1]
    size = side // 2
    crops = five_crops(side, side, size).values()
    return torch.stack([maps[:, y : y + size, x : x + size].mean(dim=(1, 2)) for x, y in crops], dim=1)


class Scorer:
    """Compute maps (N, S, S) of the abnormal class and lesion scores (N, 5) of normalised images (N, 3, S, S).

    The network sees photographs as they are; their maps are turned and mirrored then, before the crops (FACTS A8).
    background "released": where a pixel's normalised channels sum to no more than those of grey 15/255, the map counts
    as zero in the scores (FACTS A6); the maps that are returned keep it.

    Only the network works in the precision of `fabric`. Under bf16 scores move by less than 0.01, since each is a mean
    of thousands of pixels.
    """

    def __init__(
        self, fabric: Fabric, network: nn.Module, mean: Colour, std: Colour, background: Literal["released", "none"]
    ) -> None:
        self.fabric, self.background = fabric, background
        self.network: Any = fabric.to_device(network.eval().to(memory_format=torch.channels_last))
        grey = normalise(np.full((1, 1, 3), GREY, np.uint8), mean, std)
        self.darkest = fabric.to_device(brightness(torch.from_numpy(grey)[None]))

    @torch.inference_mode()
    def __call__(self, images: Tensor, rotated: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """rotated, right: (N,), whether each photograph lies upside down, and is of a right eye."""
        images, rotated, right = map(self.fabric.to_device, (images, rotated, right))
        with self.fabric.autocast():
            features = self.network.forward_features(images.to(memory_format=torch.channels_last))
        maps = abnormal_probability_map(features, self.network.fc.weight, images.shape[-1])
        retina = maps * (brightness(images) > self.darkest) if self.background == "released" else maps
        return laid(maps, rotated, right), lesion_scores(laid(retina, rotated, right))


def scored(
    scorer: Scorer, squares: Squares, lying: Lying, batch: int, workers: int, first: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield maps (N, S, S) and scores (N, 5) of photographs, batch after batch, from `first` on. lying: of all."""
    for images in make_loader(squares, squares.batches(batch, first), workers):
        last = first + len(images)
        yield scorer(images, *(torch.from_numpy(flags[first:last]) for flags in lying))
        first = last
