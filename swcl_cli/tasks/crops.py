"""Draw training views of photographs and their masks, as crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.augment import IGNORED, segmentation_view
from swcl_cli.data.colour import Colour
from swcl_cli.data.images import read_image
from swcl_cli.data.loaders import Key
from swcl_cli.tasks.masks import Truth, is_there, read_structures, resized

KEPT_BYTES = 1 << 30  # of decoded photographs and masks; sets that are larger are decoded at each draw


class CroppedViews(Dataset[dict[str, Any]]):
    """Draw training views: (epoch, item) -> image float32 (3, S, S), and mask int64 (S, S) cropped and flipped alike.

    focus: the share of the views that hold a pixel of a structure, any of those in the photograph by equal chance, so
    that rare ones are seen more often. Decoded photographs stay in memory, up to KEPT_BYTES: most sets are of tens of
    images, each drawn hundreds of times.
    """

    def __init__(
        self,
        root: Path,
        rows: pd.DataFrame,
        task: Task,
        crop: int,
        seed: int,
        mean: Colour,
        std: Colour,
        focus: float = 0.0,
    ) -> None:
        self.root, self.task, self.crop, self.seed, self.mean, self.std = root, task, crop, seed, mean, std
        self.focus = focus
        self.rows = rows[["path", "checksum", "mask_path"]].to_numpy(dtype=object)
        small = 5 * int((rows["width"].astype("int64") * rows["height"].astype("int64")).sum()) <= KEPT_BYTES
        self.decoded = [self._read(item) for item in range(len(rows))] if small else None

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, item = key
        image, mask = self._read(item) if self.decoded is None else self.decoded[item]
        place = self._focused(mask, epoch, item) if self.focus else None
        view, labels = self._view(image, mask, epoch, item, place)
        if (labels == IGNORED).all():  # a view that says nothing has no loss
            chosen = chance.generator(self.seed, "segmentation view of known pixels", epoch, item)
            view, labels = self._view(image, mask, epoch, item, _any_of(mask != IGNORED, chosen))
        return {"image": view, "mask": labels}

    def _view(
        self, image: NDArray[np.uint8], mask: Truth, epoch: int, item: int, place: tuple[int, int] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        draw = chance.generator(self.seed, "segmentation view", epoch, item)
        return segmentation_view(image, mask, self.crop, draw, self.mean, self.std, place)

    def _focused(self, mask: Truth, epoch: int, item: int) -> tuple[int, int] | None:
        """Draw row and column of a pixel that the view is to hold; None where it may be any."""
        draw = chance.generator(self.seed, "segmentation focus", epoch, item)
        if draw.random() >= self.focus:
            return None
        known = mask != IGNORED
        parts = (known & is_there(mask, number, self.task) for number in range(len(self.task.heads)))
        held = [part for part in parts if part.any()]
        return _any_of(held[int(draw.integers(len(held)))], draw) if held else None

    def _read(self, item: int) -> tuple[NDArray[np.uint8], Truth]:
        """Read a photograph (H, W, 3), and its structures (H, W) at the same size."""
        path, checksum, mask_path = self.rows[item]
        image = read_image(self.root / path, checksum)
        shape = image.shape[:2]
        return image, resized(read_structures(self.root / mask_path, self.task, shape), shape)


def _any_of(pixels: NDArray[np.bool_], draw: np.random.Generator) -> tuple[int, int] | None:
    """Draw row and column of one of these pixels (H, W) by equal chance; None where there is none."""
    places = np.flatnonzero(pixels)
    if not len(places):
        return None
    row, column = divmod(int(places[int(draw.integers(len(places)))]), pixels.shape[1])
    return row, column
