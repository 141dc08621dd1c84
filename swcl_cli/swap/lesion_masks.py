"""Read masks that say where the lesions of a photograph are, and of which kind, to judge lesion scores against them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

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


def read_patch_lesions(root: Path, patches: pd.DataFrame) -> pd.DataFrame:
    """Return which kinds of lesion each patch holds: (N, kinds) bool, in the order of `patches`.

    patches: columns lesion_mask_path, x, y, size, and width, height of the prepared photograph; masks keep their own
    size, so boxes are scaled to it. A mask holds 0 or 1 + the index into KINDS; other values count as `other`.
    """
    present = np.zeros((len(patches), len(KINDS) + 1), bool)
    boxes = patches[["x", "y", "size", "width", "height"]].to_numpy(dtype=np.int64)
    for path, rows in patches.reset_index(drop=True).groupby("lesion_mask_path", sort=False).indices.items():
        mask = read_mask(root / str(path))
        for row in rows:
            x, y, size, width, height = boxes[row]
            across, down = mask.shape[1] / width, mask.shape[0] / height
            part = mask[round(y * down) : round((y + size) * down), round(x * across) : round((x + size) * across)]
            values = np.flatnonzero(np.bincount(part.ravel(), minlength=1))
            present[row, np.minimum(values[values > 0] - 1, len(KINDS))] = True
    lesions = pd.DataFrame(present, columns=[*KINDS, "other"])
    return lesions.loc[:, lesions.any()]
