"""Score photographs by the maps of the labeler's abnormal class, averaged over the five crops (paper III-B)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from swcl_cli.data.colour import Colour
from swcl_cli.data.loaders import make_loader
from swcl_cli.data.photographs import Squares
from swcl_cli.models.cam import abnormal_probability_map
from swcl_cli.swap.crops import five_crops

GREY = 15 / 255  # darker pixels count as background (FACTS A6)


def lesion_scores(maps: Tensor, images: Tensor, background: str, mean: Tensor, std: Tensor) -> Tensor:
    """Average the abnormal class's maps over the five crops: (N, S, S), normalised images (N, 3, S, S) -> (N, 5).

    background "released": pixels whose normalised channels sum to less than those of grey 15/255 are zeroed before,
    and still count in the mean (FACTS A6).
    """
    if background == "released":
        maps = maps * (images.sum(dim=1) >= ((GREY - mean) / std).sum())
    side = maps.shape[-1]
    size = side // 2
    crops = five_crops(side, side, size).values()
    return torch.stack([maps[:, y : y + size, x : x + size].mean(dim=(1, 2)) for x, y in crops], dim=1)


class Scorer:
    """Compute maps (N, S, S) of the abnormal class and lesion scores (N, 5) of normalised images (N, 3, S, S).

    Only the network works in the precision of `fabric`. Under bf16 scores move by less than 0.01, since each is a mean
    of thousands of pixels.
    """

    def __init__(
        self, fabric: Fabric, network: nn.Module, mean: Colour, std: Colour, background: Literal["released", "none"]
    ) -> None:
        self.fabric, self.background = fabric, background
        self.network: Any = fabric.to_device(network.eval().to(memory_format=torch.channels_last))
        self.mean, self.std = (fabric.to_device(torch.tensor(values)) for values in (mean, std))

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        images = self.fabric.to_device(images)
        with self.fabric.autocast():
            features = self.network.forward_features(images.to(memory_format=torch.channels_last))
        maps = abnormal_probability_map(features, self.network.fc.weight, images.shape[-1])
        return maps, lesion_scores(maps, images, self.background, self.mean, self.std)


def scored(
    scorer: Scorer, squares: Squares, batch: int, workers: int, first: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield maps (N, S, S) and scores (N, 5) of photographs, batch after batch, from `first` on."""
    return map(scorer, make_loader(squares, squares.batches(batch, first), workers))
