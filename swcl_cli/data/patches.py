"""Where the five patches of an image lie (paper III-B)."""

from swcl_cli.errors import SwclError

POSITIONS = ("tl", "tr", "c", "bl", "br")


def center_crop_box(height: int, width: int, size: int) -> tuple[int, int]:
    """(x, y) of the top left corner of the central size x size square, rounded half to even as torchvision does.

    Raises SwclError where the image is smaller than the square.
    """
    if size > min(height, width):
        raise SwclError(f"a square of {size} px does not fit into an image of {width} x {height} px (width x height)")
    return round((width - size) / 2), round((height - size) / 2)


def five_crops(height: int, width: int, size: int) -> dict[str, tuple[int, int]]:
    """(x, y) of the top left corners of the size x size squares at tl, tr, c, bl, br, in this order (paper III-B).

    Raises SwclError where the image is smaller than the square.
    """
    center = center_crop_box(height, width, size)
    right, bottom = width - size, height - size
    return {"tl": (0, 0), "tr": (right, 0), "c": center, "bl": (0, bottom), "br": (right, bottom)}
