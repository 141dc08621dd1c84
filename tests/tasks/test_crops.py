"""Training crops of masks: rare structures, and pixels of which nobody knows what they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data.augment import IGNORED
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.tasks.crops import CroppedViews
from tests import prepared


def spots(root: Path) -> pd.DataFrame:
    """A photograph of 100 x 90 px, whose first structure is a half of it and whose second one is a pixel."""
    y, x = np.mgrid[:90, :100]
    codes = np.zeros((90, 100), np.uint8)
    codes[:, :50], codes[80, 95] = 1, 2
    image = np.stack([(5 * x + 3 * y) % 251] * 3, axis=2).astype(np.uint8)
    return prepared.write(root, "folder", [{"image": image, "mask": codes}])


def drawn(root: Path, focus: float, structures: Structures | None = None, crop: int = 16) -> list[Any]:
    """The views of 60 epochs."""
    shown = structures or Structures.layered(("half", "spot"))
    task = replace(TASKS["drive"], dataset="folder", heads=dict.fromkeys(shown.names, 2), structures=shown)
    views = CroppedViews(root, spots(root), task, crop, 0, MEAN, STD, focus)
    return [views[(epoch, 0)] for epoch in range(60)]


def test_focus_draws_rare_structures_as_often_as_common_ones(tmp_path: Path) -> None:
    """Half of the views that are focused hold the pixel; they keep the other draws of their key."""
    held = {focus: [bool((view["mask"] == 2).any()) for view in drawn(tmp_path, focus)] for focus in (0.0, 0.5, 1.0)}
    assert sum(held[0.0]) < 6 and 8 < sum(held[0.5]) < 25 and 20 < sum(held[1.0]) < 42
    plain, focused = drawn(tmp_path, 0.0), drawn(tmp_path, 0.5)
    same = [np.array_equal(one["image"], other["image"]) for one, other in zip(plain, focused, strict=True)]
    assert 20 < sum(same) < 45
    again = drawn(tmp_path, 0.5)
    assert all(np.array_equal(one["image"], other["image"]) for one, other in zip(focused, again, strict=True))


def test_focus_finds_nothing_where_nothing_is(tmp_path: Path) -> None:
    nothing = Structures(("a", "b"), (Shade(0), Shade(1), Shade(2), Shade(3, ("a",)), Shade(4, ("b",))))
    for one, other in zip(drawn(tmp_path, 1.0, nothing), drawn(tmp_path, 0.0, nothing), strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])


def test_a_view_holds_a_pixel_that_is_known(tmp_path: Path) -> None:
    """All but the pixel of the second structure is unknown."""
    spot = Structures(("spot",), (Shade(0, ignored=True), Shade(1, ignored=True), Shade(2, ("spot",))))
    for view in drawn(tmp_path, 0.0, spot):
        assert (view["mask"] != IGNORED).sum() == 1
