"""Read masks that say where the lesions of a photograph are, and of which kind, to judge lesion scores against them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.data.images import read_mask

KINDS = (
    "microaneurysm",
    "haemorrhage",
    "hard exudate",
    "cotton-wool spot",
    "drusen",
    "new vessels",
    "preretinal haemorrhage",
)


@dataclass(frozen=True)
class LesionMasks:
    """Describe the lesion masks of a data set.

    column: of the manifest, which names their files; kinds: of lesion; of_value: (256, kinds) bool, which of them a
    pixel of this value holds.
    """

    column: str
    kinds: tuple[str, ...]
    of_value: NDArray[np.bool_]

    @property
    def values(self) -> NDArray[np.int64]:
        """List the values of pixels that hold a lesion."""
        return np.flatnonzero(self.of_value.sum(axis=1))


def _of_kinds() -> LesionMasks:
    of_value = np.zeros((256, len(KINDS) + 1), bool)
    of_value[np.arange(1, 256), np.minimum(np.arange(255), len(KINDS))] = True
    return LesionMasks("lesion_mask_path", (*KINDS, "other"), of_value)


OF_KINDS = _of_kinds()  # a mask holds 0 or 1 + the index into KINDS; other values count as `other`


def lesion_masks_of(dataset: str) -> LesionMasks:
    """Return the description of a data set's lesion masks."""
    return OF_KINDS


def read_patch_lesions(root: Path, patches: pd.DataFrame, masks: LesionMasks = OF_KINDS) -> pd.DataFrame:
    """Return which kinds of lesion each patch holds: (N, kinds) bool, in the order of `patches`; absent kinds left out.

    patches: columns x, y, size, the path of the mask, and width, height of the prepared photograph; masks keep their
    own size, so boxes are scaled to it.
    """
    present = np.zeros((len(patches), len(masks.kinds)), bool)
    boxes = patches[["x", "y", "size", "width", "height"]].to_numpy(dtype=np.int64)
    for path, rows in patches.reset_index(drop=True).groupby(masks.column, sort=False).indices.items():
        mask = read_mask(root / str(path))
        for row in rows:
            x, y, size, width, height = boxes[row]
            across, down = mask.shape[1] / width, mask.shape[0] / height
            part = mask[round(y * down) : round((y + size) * down), round(x * across) : round((x + size) * across)]
            values = np.flatnonzero(np.bincount(part.ravel(), minlength=1))
            present[row] = masks.of_value[values].any(axis=0)
    lesions = pd.DataFrame(present, columns=list(masks.kinds))
    return lesions.loc[:, lesions.any()]
