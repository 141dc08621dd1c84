"""Read masks that say where the lesions of a photograph are, and of which kind, to judge lesion scores against them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.tasks import LESIONS
from swcl_cli.data import manifest
from swcl_cli.data.images import read_mask
from swcl_cli.errors import SwclError

KINDS = (
    "microaneurysm",
    "haemorrhage",
    "hard exudate",
    "cotton-wool spot",
    "drusen",
    "new vessels",
    "preretinal haemorrhage",
)

LESION_VALUES = "lesion_values"  # in the provenance of patches that scores are judged on: those of their masks


@dataclass(frozen=True)
class LesionMasks:
    """Describe the lesion masks of a data set.

    column: of the manifest, which names their files; kinds: of lesion; of_value: (values, kinds) bool, which of them
    a pixel of this value holds.
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


def lesion_masks_of(path: Path) -> LesionMasks:
    """Describe the lesion masks of a prepared data set: its masks where some of their structures are LESIONS, or else
    masks that came beside them. path: of its manifest. Raises SwclError where the file is missing or damaged.
    """
    structures = manifest.read_structures(path)
    names = [name for name in structures.names if name in LESIONS] if structures else []
    if not structures or not names:
        return OF_KINDS
    of_value = np.zeros((max(structures.codes) + 1, len(names)), bool)
    for number, name in enumerate(names):
        of_value[list(structures.codes_of(name)), number] = True
    return LesionMasks("mask_path", tuple(name.replace("_", " ") for name in names), of_value)


def read_patch_lesions(root: Path, patches: pd.DataFrame, masks: LesionMasks = OF_KINDS) -> pd.DataFrame:
    """Return which kinds of lesion each patch holds: (N, kinds) bool, in the order of `patches`; absent kinds left out.

    patches: columns x, y, size, the path of the mask, and width, height of the prepared photograph; masks keep their
    own size, so boxes are scaled to it. Raises SwclError where a mask can't be read, or holds a value without meaning.
    """
    present = np.zeros((len(patches), len(masks.kinds)), bool)
    for row, counts in _counted(root, patches, masks):
        present[row] = masks.of_value[counts > 0].any(axis=0)
    lesions = pd.DataFrame(present, columns=list(masks.kinds))
    return lesions.loc[:, lesions.any()]


def read_lesion_shares(root: Path, patches: pd.DataFrame, masks: LesionMasks = OF_KINDS) -> NDArray[np.float64]:
    """Return the share of each patch's pixels that lie in lesions, of whatever kind: (N,), otherwise as the former."""
    shares = np.zeros(len(patches))
    for row, counts in _counted(root, patches, masks):
        shares[row] = counts[masks.values].sum() / max(counts.sum(), 1)
    return shares


def _counted(root: Path, patches: pd.DataFrame, masks: LesionMasks) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield the number of each patch, and how many of its pixels have each value."""
    boxes = patches[["x", "y", "size", "width", "height"]].to_numpy(dtype=np.int64)
    most = len(masks.of_value)
    for path, rows in patches.reset_index(drop=True).groupby(masks.column, sort=False).indices.items():
        mask = read_mask(root / str(path))
        if mask.max(initial=0) >= most:
            raise SwclError(f"{root / str(path)} holds the value {mask.max()}, which means nothing in this data set.")
        for row in rows:
            x, y, size, width, height = boxes[row]
            across, down = mask.shape[1] / width, mask.shape[0] / height
            part = mask[round(y * down) : round((y + size) * down), round(x * across) : round((x + size) * across)]
            yield int(row), np.bincount(part.ravel(), minlength=most)
