"""Make augmented views of whole prepared photographs, for the methods that train on images (FACTS D1, D2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.data import manifest
from swcl_cli.data.augment import contrastive_pixels, flipped_pixels
from swcl_cli.data.left_out import NOTHING, LeftOut
from swcl_cli.data.loaders import Key
from swcl_cli.data.manifest import prepared_size
from swcl_cli.data.photographs import Photographs, manifest_of
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, fingerprint

VIEWS = 2  # of a photograph or patch in a step


@dataclass(frozen=True)
class ImageSet:
    """Hold the photographs of some data sets in a row, of a split or of all splits (None).

    positive: (N,) bool, whether the label is above 0, or None without a label column. size: shorter side in pixels.
    unlabelled: how many photographs were left out, since their label is not known; left_out: those that are not to be
    learnt.
    """

    photographs: Photographs
    positive: NDArray[np.bool_] | None
    size: int
    split: str | None
    inputs: dict[str, str]
    unlabelled: int
    left_out: LeftOut

    def __len__(self) -> int:
        return len(self.photographs)

    @property
    def view_size(self) -> int:
        """Return half of the prepared size, a patch's size, so that all methods train encoders at the same size."""
        return self.size // 2


def read_images(
    workspace: Workspace,
    names: Sequence[str],
    label: str | None = None,
    split: str | None = None,
    left_out: LeftOut = NOTHING,
) -> ImageSet:
    """Read the manifests of these data sets, of a split or of all splits. No label column is read but `label`.

    Raises SwclError where a set is named twice or not prepared, the sets were prepared at different sizes, no
    photograph is in the split, or none has the label.
    """
    if len(set(names)) < len(names):
        raise SwclError(f"A data set is named twice: --data {','.join(names)}.")
    paths = {name: manifest_of(workspace, name) for name in names}
    sizes = {name: prepared_size(path) for name, path in paths.items()}
    if len(set(sizes.values())) > 1 or 0 in sizes.values():
        raise SwclError(
            f"Views need photographs prepared at one size, not {manifest.in_words(sizes)}: run prep with one --size "
            "for all."
        )
    columns = ["path", "checksum", *([label] if label else []), *(["split"] if split else [])]
    table = pd.concat([manifest.read(path, columns=columns) for path in paths.values()], ignore_index=True)
    table = table[table["split"] == split] if split else table
    if not len(table):
        raise SwclError(f"{', '.join(names)} has no photograph{f' in its {split} split' if split else ''}.")
    table = left_out.without(table)
    if not len(table):
        raise SwclError(f"--without-tests {','.join(left_out.tested)} leaves no photograph of {', '.join(names)}.")
    usable = table[table[label].notna()] if label else table
    if not len(usable):
        raise SwclError(
            f"None of the {len(table):,} photographs of {', '.join(names)} has the label {label}: "
            "prepare a download that comes with its labels."
        )
    return ImageSet(
        photographs=Photographs.of(workspace, usable),
        positive=usable[label].to_numpy(dtype=np.int64) > 0 if label else None,
        size=sizes[names[0]],
        split=split,
        inputs={name: fingerprint(path) for name, path in paths.items()},
        unlabelled=len(table) - len(usable),
        left_out=left_out,
    )


class ImageViews(Dataset[dict[str, Any]]):
    """Make views of a photograph: (epoch, item) -> uint8 (V, S, S, 3), and its label, or its number without labels.

    flip, smallest: as `augment.contrastive_pixels` takes them. whole: one view at the prepared size that is cropped and
    flipped alone (FACTS D2), in place of two contrastive views at half of it.
    """

    def __init__(self, images: ImageSet, seed: int, flip: bool, smallest: float, whole: bool = False) -> None:
        self.images, self.seed, self.flip, self.smallest = images, seed, flip, smallest
        self.pixels = flipped_pixels if whole else contrastive_pixels
        self.size = images.size if whole else images.view_size
        self.views = 1 if whole else VIEWS

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, item = key
        image = self.images.photographs.read(item)
        draws = (chance.generator(self.seed, "image view", epoch, item, view) for view in range(self.views))
        views = np.stack([self.pixels(image, self.size, draw, self.flip, self.smallest) for draw in draws])
        label = item if self.images.positive is None else int(self.images.positive[item])
        return {"views": torch.from_numpy(views), "label": label}
