"""Turn photographs and their lesion scores into the rows of retinal-SWAP (paper III-B)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.swap.crops import POSITIONS, stored_corners
from swcl_cli.swap.weak_labels import are_single, is_abnormal


def are_right(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Return whether each photograph (N,) is of an eye that is known as a right one: map and patches are mirrored."""
    right: NDArray[np.bool_] = (table["eye"] == "right").to_numpy(dtype=bool)
    return right


def patch_rows(table: pd.DataFrame, scores: NDArray[np.float32], threshold: float) -> pd.DataFrame:
    """Make five rows for each photograph, in the order of POSITIONS.

    table: manifest columns dataset, patient_id, image_id, eye, path, width, height, checksum, and image_abnormal (null
    where unknown). scores: (N, 5) of the central square's map, mirrored for right eyes; photographs known as normal
    score 0 (paper III-B).
    Boxes are in the stored photograph: the tl of a right eye lies at its stored tr.
    """
    width, height = (table[side].to_numpy(dtype=np.int64) for side in ("width", "height"))
    side = np.minimum(width, height)
    left, top = (np.rint((length - side) / 2).astype(np.int64) for length in (width, height))
    mirrored = are_right(table)
    size = side // 2
    corners = stored_corners(side, mirrored)
    x, y = corners[:, :, 0] + left[:, None], corners[:, :, 1] + top[:, None]
    normal = (table["image_abnormal"] == False).fillna(False).to_numpy(dtype=bool)  # noqa: E712
    score = np.where(normal[:, None], np.float32(0), scores).ravel()

    repeated = table.loc[table.index.repeat(len(POSITIONS))].reset_index(drop=True)
    columns = ["dataset", "patient_id", "image_id", "eye", "path", "image_abnormal", "checksum"]
    rows = repeated[columns].assign(
        position=np.tile(POSITIONS, len(table)),
        x=x.ravel(),
        y=y.ravel(),
        size=np.repeat(size, len(POSITIONS)),
        mirrored=np.repeat(mirrored, len(POSITIONS)),
        score=score,
        abnormal=is_abnormal(score, threshold),
    )
    return rows.assign(single=are_single(rows))
