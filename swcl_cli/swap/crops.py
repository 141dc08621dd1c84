"""Say where the five patches of an image lie (paper III-B)."""

from swcl_cli.data.pixels import center_crop_box

POSITIONS = ("tl", "tr", "c", "bl", "br")


def five_crops(height: int, width: int, size: int) -> dict[str, tuple[int, int]]:
    """Return the top left corners (x, y) of the size x size squares at tl, tr, c, bl, br, in this order (paper III-B).

    Raises SwclError where the image is smaller than the square.
    """
    center = center_crop_box(height, width, size)
    right, bottom = width - size, height - size
    return {"tl": (0, 0), "tr": (right, 0), "c": center, "bl": (0, bottom), "br": (right, bottom)}
