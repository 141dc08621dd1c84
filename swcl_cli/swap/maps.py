"""Score photographs by the maps of the labeler's abnormal class, averaged over the five crops (paper III-B)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from swcl_cli.data.colour import Colour
from swcl_cli.data.loaders import make_loader
from swcl_cli.data.photographs import Squares
from swcl_cli.data.pixels import normalise
from swcl_cli.models.cam import abnormal_probability_map
from swcl_cli.swap.crops import five_crops

GREY = 15  # of 255: pixels that are no brighter count as background (FACTS A6)


def brightness(images: Tensor) -> Tensor:
    """Add up the normalised channels: (N, 3, S, S) -> (N, S, S). In one order, so that equal pixels have equal sums."""
    red, green, blue = images.unbind(dim=1)
    return red + green + blue


def mirrored(maps: Tensor, right: Tensor) -> Tensor:
    """Exchange left and right in the maps (N, S, S) of right eyes, (N,), so that both eyes lie alike (FACTS A8)."""
    return torch.where(right[:, None, None], maps.flip(-1), maps)


def lesion_scores(maps: Tensor) -> Tensor:
    """Average maps of the abnormal class, mirrored for right eyes, over the five crops: (N, S, S) -> (N, 5)."""
    side = maps.shape[-1]
    size = side // 2
    crops = five_crops(side, side, size).values()
    return torch.stack([maps[:, y : y + size, x : x + size].mean(dim=(1, 2)) for x, y in crops], dim=1)


class Scorer:
    """Compute maps (N, S, S) of the abnormal class and lesion scores (N, 5) of normalised images (N, 3, S, S).

    The network sees photographs of right eyes as they are; their maps are mirrored then, before the crops (FACTS A8).
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
    def __call__(self, images: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """right: (N,), whether each is a photograph of a right eye."""
        images, right = self.fabric.to_device(images), self.fabric.to_device(right)
        with self.fabric.autocast():
            features = self.network.forward_features(images.to(memory_format=torch.channels_last))
        maps = abnormal_probability_map(features, self.network.fc.weight, images.shape[-1])
        retina = maps * (brightness(images) > self.darkest) if self.background == "released" else maps
        return mirrored(maps, right), lesion_scores(mirrored(retina, right))


def scored(
    scorer: Scorer, squares: Squares, right: NDArray[np.bool_], batch: int, workers: int, first: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield maps (N, S, S) and scores (N, 5) of photographs, batch after batch, from `first` on.

    right: of all photographs, which are of right eyes.
    """
    for images in make_loader(squares, squares.batches(batch, first), workers):
        last = first + len(images)
        yield scorer(images, torch.from_numpy(right[first:last]))
        first = last
