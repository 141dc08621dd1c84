"""Against torchvision's five_crop."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from swcl_cli.data.pixels import center_crop_box
from swcl_cli.errors import SwclError
from swcl_cli.swap.crops import POSITIONS, five_crops


@pytest.mark.parametrize(
    ("height", "width", "size"), [(448, 448, 224), (448, 597, 224), (449, 451, 224), (10, 13, 8), (7, 9, 4), (5, 5, 5)]
)
def test_cuts_what_torchvision_cuts(height: int, width: int, size: int) -> None:
    image = torch.arange(height * width).reshape(1, height, width)
    tl, tr, bl, br, center = reference.five_crop(image, [size, size])
    crops = five_crops(height, width, size)
    for position, expected in {"tl": tl, "tr": tr, "c": center, "bl": bl, "br": br}.items():
        x, y = crops[position]
        np.testing.assert_array_equal(image[:, y : y + size, x : x + size], expected, err_msg=position)


def test_positions_by_hand() -> None:
    expected = {"tl": (0, 0), "tr": (376, 0), "c": (188, 112), "bl": (0, 224), "br": (376, 224)}
    assert five_crops(448, 600, 224) == expected
    assert tuple(five_crops(448, 448, 224)) == POSITIONS


def test_a_square_larger_than_the_image_is_an_error() -> None:
    with pytest.raises(SwclError, match="224 px does not fit into an image of 300 x 223"):
        center_crop_box(223, 300, 224)
    with pytest.raises(SwclError):
        five_crops(300, 223, 224)
