"""The field of view, against circles that were drawn: whole, cut off by the frame, with a notch, brightened."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from swcl_cli.audit.field import find_field


def drawn(width: int, height: int, x: float, y: float, radius: float, margin: int = 0) -> NDArray[np.uint8]:
    down, across = np.mgrid[:height, :width] + 0.5
    image = np.full((height, width, 3), margin, np.uint8)
    inside = np.hypot(across - x, down - y) <= radius
    image[inside] = (np.random.default_rng(0).normal(120, 12, (int(inside.sum()), 3))).clip(60, 200).astype(np.uint8)
    return image


@pytest.mark.parametrize(
    ("width", "height", "x", "y", "radius"),
    [
        (192, 192, 96, 96, 90),
        (240, 192, 120, 96, 92),
        (290, 192, 134, 96, 115),  # cut above and below, as IDRiD
        (192, 192, 104, 90, 96),  # cropped, not in its middle
        (1072, 712, 500, 356, 430),
        (96, 64, 48, 32, 30),
    ],
)
@pytest.mark.parametrize("margin", [0, 25])
def test_circle_is_found(width: int, height: int, x: float, y: float, radius: float, margin: int) -> None:
    field = find_field(drawn(width, height, x, y, radius, margin))
    assert field.seen
    assert (field.x, field.y, field.radius) == pytest.approx((x, y, radius), abs=0.012 * radius + 0.3)


def test_a_notch_does_not_move_it() -> None:
    image = drawn(200, 192, 100, 96, 88)
    image[10:40, 150:165] = 160
    field = find_field(image)
    assert (field.x, field.y, field.radius) == pytest.approx((100, 96, 88), abs=1.5)


@pytest.mark.parametrize("shape", [(64, 96, 3), (192, 192, 3)])
def test_without_a_border_it_is_the_frames_own(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(90, 110, shape).astype(np.uint8)
    field = find_field(image)
    assert not field.seen
    assert (field.x, field.y, field.radius) == (shape[1] / 2, shape[0] / 2, min(shape[:2]) / 2)


@pytest.mark.parametrize("level", [0, 255])
def test_one_level_alone(level: int) -> None:
    assert not find_field(np.full((80, 80, 3), level, np.uint8)).seen
