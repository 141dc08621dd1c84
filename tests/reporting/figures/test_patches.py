from __future__ import annotations

import numpy as np
import pytest
from matplotlib import colormaps

from swcl_cli.reporting.figures.patches import COLOURMAP, Example, under_its_map


@pytest.mark.parametrize("alpha", [0.0, 0.55, 1.0])
def test_a_photograph_under_its_map(alpha: float) -> None:
    """Grey 100 beside the colours of 0 and 1 at the ends of the map, pixel by pixel."""
    square = np.full((4, 4, 3), 100, np.uint8)
    cam = np.repeat([[0, 0, 255, 255]], 4, axis=0).astype(np.uint8)
    found = under_its_map(Example("x.png", square, cam, [], None), alpha)
    for column, value in ((0, 0.0), (3, 1.0)):
        for channel in range(3):
            expected = (1 - alpha) * 100 + alpha * 255 * colormaps[COLOURMAP](value)[channel]
            assert abs(int(found[2, column, channel]) - expected) <= 0.5
    assert (square == 100).all()


def test_a_map_smaller_than_its_photograph() -> None:
    found = under_its_map(
        Example("x.png", np.zeros((8, 8, 3), np.uint8), np.full((2, 2), 255, np.uint8), [], None), 1.0
    )
    np.testing.assert_array_equal(found, np.tile(found[0, 0], (8, 8, 1)))
