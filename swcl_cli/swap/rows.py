"""Turn photographs and their lesion scores into the rows of retinal-SWAP (paper III-B)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.swap.crops import POSITIONS, stored_corners
from swcl_cli.swap.weak_labels import are_single, is_abnormal

INVERTED = "inverted"  # a column of photographs that are to be turned where they lie upside down


class Lying(NamedTuple):
    """Say of photographs (N,) which ones lie upside down, so that map and patches are turned by 180 degrees, and which
    ones are known as right eyes, so that they are mirrored then.
    """

    rotated: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]


def lying(table: pd.DataFrame) -> Lying:
    """Tell how photographs lie. table: `eye`, and `inverted`, if photographs are to be turned."""
    turned = table[INVERTED] if INVERTED in table else pd.Series(False, table.index)
    return Lying(np.array(turned, dtype=bool), np.array(table["eye"] == "right", dtype=bool))


def patch_rows(table: pd.DataFrame, scores: NDArray[np.float32], threshold: float) -> pd.DataFrame:
    """Make five rows for each photograph, in the order of POSITIONS.

    table: manifest columns dataset, patient_id, image_id, eye, path, width, height, checksum, and image_abnormal (null
    where unknown), and `inverted`, if photographs are to be turned. scores: (N, 5) of the central square's map, turned
    and mirrored so that all eyes lie alike; photographs known as normal score 0 (paper III-B).
    Boxes are in the stored photograph: the tl of a right eye lies at its stored tr.
    """
    width, height = (table[side].to_numpy(dtype=np.int64) for side in ("width", "height"))
    side = np.minimum(width, height)
    left, top = (np.rint((length - side) / 2).astype(np.int64) for length in (width, height))
    laid = lying(table)
    size = side // 2
    corners = stored_corners(side, *laid)
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
        rotated=np.repeat(laid.rotated, len(POSITIONS)),
        mirrored=np.repeat(laid.mirrored, len(POSITIONS)),
        score=score,
        abnormal=is_abnormal(score, threshold),
    )
    return rows.assign(single=are_single(rows))
