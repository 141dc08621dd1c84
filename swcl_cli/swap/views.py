"""Cut patches out of prepared photographs, and make augmented views of left/right pairs of them."""

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
from swcl_cli.data.augment import classification_pixels, contrastive_pixels
from swcl_cli.data.image_views import VIEWS
from swcl_cli.data.loaders import Key
from swcl_cli.errors import SwclError
from swcl_cli.swap.weak_labels import ABSENT, UNKNOWN, Patches


def cut_patch(image: NDArray[np.uint8], x: int, y: int, size: int, rotated: bool, mirrored: bool) -> NDArray[np.uint8]:
    """Cut the box (x, y, size) out of the stored photograph; turn it by 180 degrees, then mirror it, or not."""
    patch = image[y : y + size, x : x + size]
    patch = patch[::-1, ::-1] if rotated else patch
    return np.ascontiguousarray(patch[:, ::-1] if mirrored else patch)


def read_file(root: Path, patches: Patches, row: int) -> NDArray[np.uint8]:
    """Read the file that holds this patch: uint8 (H, W, 3). Raises SwclError where it changed since it was scored."""
    path, checksum = root / patches.path[row].as_py(), int(patches.checksum[row])
    if checksum != UNKNOWN:
        return images.read_image(path, checksum, images.CUT_AGAIN)
    image = images.read_image(path, None, "unpack the download again")
    if image.shape[:2] != (patches.size, patches.size):
        height, width = image.shape[:2]
        raise SwclError(f"{path} is {width} x {height} px, not {patches.size} x {patches.size} as the other patches.")
    return image


def patch_of(image: NDArray[np.uint8], patches: Patches, row: int) -> NDArray[np.uint8]:
    """Cut this patch, uint8 (S, S, 3), out of the file that holds it."""
    x, y = int(patches.x[row]), int(patches.y[row])
    if x + patches.size > image.shape[1] or y + patches.size > image.shape[0]:
        raise SwclError(
            f"The patch at ({x}, {y}) of {patches.path[row].as_py()} lies outside of it: swap.parquet is damaged, "
            "or of another version. Make it again with: swcl make-swap --fresh"
        )
    return cut_patch(image, x, y, patches.size, bool(patches.rotated[row]), bool(patches.mirrored[row]))


class PairViews(Dataset[dict[str, Any]]):
    """Make views of each patch of a pair: (epoch, pair) -> uint8 (P, V, S, S, 3), P = 2, or 1 for a single eye.

    flip, smallest: as `augment.contrastive_pixels` takes them. weak: one view that is cropped, flipped and made grey
    alone, in place of two contrastive ones (FACTS C12).
    """

    def __init__(
        self, root: Path, patches: Patches, seed: int, flip: bool, smallest: float, weak: bool = False
    ) -> None:
        self.root, self.patches, self.seed, self.flip, self.smallest = root, patches, seed, flip, smallest
        self.weak, self.views = weak, 1 if weak else VIEWS

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, pair = key
        rows = [int(row) for row in self.patches.pairs[pair] if row != ABSENT]
        views = np.stack([self._views(epoch, row) for row in rows])
        return {"views": torch.from_numpy(views), "label": torch.from_numpy(self.patches.label[rows])}

    def _views(self, epoch: int, row: int) -> NDArray[np.uint8]:
        patch = patch_of(read_file(self.root, self.patches, row), self.patches, row)
        draws = (chance.generator(self.seed, "patch view", epoch, row, view) for view in range(self.views))
        pixels = classification_pixels if self.weak else contrastive_pixels
        return np.stack([pixels(patch, self.patches.size, draw, self.flip, self.smallest) for draw in draws])


def join_pairs(pairs: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Join pairs and patches without a partner into a batch: views (N, 2, S, S, 3), label (N,)."""
    return {name: torch.cat([pair[name] for pair in pairs]) for name in ("views", "label")}
