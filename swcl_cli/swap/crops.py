"""Say where the five patches of an image lie (paper III-B)."""

import numpy as np
from numpy.typing import NDArray

from swcl_cli.data.pixels import center_crop_box

POSITIONS = ("tl", "tr", "c", "bl", "br")


def five_crops(height: int, width: int, size: int) -> dict[str, tuple[int, int]]:
    """Return the top left corners (x, y) of the size x size squares at tl, tr, c, bl, br, in this order (paper III-B).

    Raises SwclError where the image is smaller than the square.
    """
    center = center_crop_box(height, width, size)
    right, bottom = width - size, height - size
    return {"tl": (0, 0), "tr": (right, 0), "c": center, "bl": (0, bottom), "br": (right, bottom)}


def stored_corners(
    side: NDArray[np.int64], rotated: NDArray[np.bool_], mirrored: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return the top left corners (N, 5, 2) of the five patches, (x, y) in the stored central square of this side (N,).

    A patch has half the side. The tl of a mirrored photograph lies at its stored tr, that of a rotated one at its
    stored br, and that of one that is both at its stored bl.
    """
    sides, which = np.unique(side, return_inverse=True)
    corners = np.array([list(five_crops(value, value, value // 2).values()) for value in sides.tolist()], np.int64)
    corners = corners.reshape(-1, len(POSITIONS), 2)[which]
    last = (side - side // 2)[:, None]
    corners[:, :, 0] = np.where((rotated != mirrored)[:, None], last - corners[:, :, 0], corners[:, :, 0])
    corners[:, :, 1] = np.where(rotated[:, None], last - corners[:, :, 1], corners[:, :, 1])
    return corners
