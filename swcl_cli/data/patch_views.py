"""Patches cut out of prepared photographs, and the augmented views of left/right pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.data import images
from swcl_cli.data.augment import contrastive_view
from swcl_cli.data.colour import Colour
from swcl_cli.data.loaders import Key
from swcl_cli.data.weak_labels import ABSENT, Patches
from swcl_cli.errors import SwclError

VIEWS = 2


def cut_patch(
    image: NDArray[np.uint8], x: int, y: int, size: int, mirrored: bool, rotated: bool = False
) -> NDArray[np.uint8]:
    """The box (x, y, size) of the stored photograph, turned by 180 degrees and mirrored where the flags say so."""
    patch = image[y : y + size, x : x + size]
    patch = patch[::-1, ::-1] if rotated else patch
    return np.ascontiguousarray(patch[:, ::-1] if mirrored else patch)


class PairViews(Dataset[dict[str, Any]]):
    """(epoch, pair) -> two views of each patch of a pair: float32 (P, 2, 3, S, S), P = 2, or 1 for a single eye."""

    def __init__(self, root: Path, patches: Patches, seed: int, mean: Colour, std: Colour) -> None:
        self.root, self.patches, self.seed, self.mean, self.std = root, patches, seed, mean, std

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, pair = key
        rows = [int(row) for row in self.patches.pairs[pair] if row != ABSENT]
        views = np.stack([self._views(epoch, row) for row in rows])
        return {"views": torch.from_numpy(views), "label": torch.from_numpy(self.patches.label[rows])}

    def _views(self, epoch: int, row: int) -> NDArray[np.float32]:
        patches, size = self.patches, self.patches.size
        path = self.root / patches.path[row].as_py()
        box = int(patches.x[row]), int(patches.y[row]), size
        patch = cut_patch(images.read_image(path), *box, bool(patches.mirrored[row]), bool(patches.rotated[row]))
        if patch.shape[:2] != (size, size):
            raise SwclError(f"{path} is smaller than when its patches were made. Renew them: swcl make-swap --fresh")
        draws = (chance.generator(self.seed, "patch view", epoch, row, view) for view in range(VIEWS))
        return np.stack([contrastive_view(patch, size, draw, self.mean, self.std) for draw in draws])


def join_pairs(pairs: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Pairs and singles in one batch: views (N, 2, 3, S, S), label (N,)."""
    return {name: torch.cat([pair[name] for pair in pairs]) for name in ("views", "label")}
