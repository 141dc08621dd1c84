"""The camera's geometry."""

from __future__ import annotations

import numpy as np
import pytest

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.camera import Camera, aim, field_of_view


@pytest.mark.parametrize("side", [0, 1])
def test_grid_is_the_inverse_of_place(side: int) -> None:
    view = aim(Camera(aspect=1.5, field=0.6, zoom=1.1), generator(0, "test"), side, 90)
    x, y = view.grid()
    assert x.shape == (90, 135)
    rows, columns = np.mgrid[:90, :135]
    pixels = view.place(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64))
    assert np.allclose(pixels, np.stack([columns.ravel(), rows.ravel()], axis=1), atol=1e-3)


def test_the_temple_lies_right_in_left_eyes_and_left_in_right_eyes() -> None:
    camera = Camera(aspect=1.0, field=0.5)
    for side, sign in ((0, 1), (1, -1)):
        view = aim(camera, generator(0, "test"), side, 100)
        nose, temple = view.place(np.array([[-0.5, 0.0], [0.5, 0.0]]))
        assert sign * (temple[0] - nose[0]) == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize(("field", "cut"), [(0.48, False), (0.6, True)])
def test_a_field_wider_than_the_frame_is_cut_above_and_below(field: float, cut: bool) -> None:
    view = aim(Camera(aspect=1.5, field=field), generator(0, "test"), 0, 100)
    fov = field_of_view(view, notch=False)
    assert bool(fov[0].any() and fov[-1].any()) == cut
    assert not fov[:, 0].any() and not fov[:, -1].any()
    if not cut:
        assert fov.sum() == pytest.approx(np.pi * 48**2, rel=0.03)
    assert field_of_view(view, notch=True).sum() > fov.sum()
