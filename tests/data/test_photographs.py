"""Photographs as columns, and the central squares that the labeler scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swcl_cli.data import manifest
from swcl_cli.data.photographs import Photographs, Squares, manifest_of
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace
from tests import prepared

MEAN, STD = (0.3, 0.2, 0.1), (0.3, 0.2, 0.2)


def grids(root: Path) -> Photographs:
    rows = []
    for eye, (width, height) in (("left", (81, 64)), ("right", (81, 64)), ("unknown", (65, 90)), ("right", (63, 90))):
        y, x = np.mgrid[:height, :width]
        rows.append({"eye": eye, "image": np.stack([x, y, x + y], axis=2).astype(np.uint8)})
    prepared.write(root, "odir", rows)
    return Photographs.of(
        Workspace(root), manifest.read(Workspace(root).manifest("odir"), columns=["path", "checksum"])
    )


def test_squares_are_central_and_as_the_photographs_are(tmp_path: Path) -> None:
    """Right eyes too: the labeler never sees a mirrored photograph (FACTS A8)."""
    photographs = grids(tmp_path)
    squares = Squares(photographs, MEAN, STD)
    for item, (width, height) in enumerate([(81, 64), (81, 64), (65, 90), (63, 90)]):
        side = min(width, height)
        left, top = round((width - side) / 2), round((height - side) / 2)
        across, down = np.arange(left, left + side), np.arange(top, top + side)
        seen = squares[(0, item)] * np.array(STD)[:, None, None] + np.array(MEAN)[:, None, None]
        np.testing.assert_allclose(255 * seen[0], np.broadcast_to(across, (side, side)), atol=1e-3)
        np.testing.assert_allclose(255 * seen[1], np.broadcast_to(down[:, None], (side, side)), atol=1e-3)
        assert seen.shape == (3, side, side)
    assert len(photographs) == 4


def test_batches_cover_all_in_order(tmp_path: Path) -> None:
    squares = Squares(grids(tmp_path), MEAN, STD)
    assert list(squares.batches(3)) == [[(0, 0), (0, 1), (0, 2)], [(0, 3)]]
    assert list(squares.batches(2, first=2)) == [[(0, 2), (0, 3)]]


def test_a_photograph_that_vanished_is_named(tmp_path: Path) -> None:
    photographs = grids(tmp_path)
    (tmp_path / "data/odir/images/1.png").unlink()
    with pytest.raises(SwclError, match="odir/images/1.png can't be read.*swcl prep"):
        photographs.read(1)


def test_a_photograph_that_was_replaced_is_named(tmp_path: Path) -> None:
    """By another of equal shape and size; without the column of checksums it passes for the same."""
    photographs, path = grids(tmp_path), tmp_path / "data/odir/images/1.png"
    whole = photographs.read(1)
    Image.fromarray(whole[::-1]).save(path)
    with pytest.raises(SwclError, match="odir/images/1.png is not the image that was prepared.*swcl prep"):
        photographs.read(1)
    np.testing.assert_array_equal(replace(photographs, checksum=None).read(1), whole[::-1])


def test_a_data_set_that_is_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="data/odir/manifest.parquet is missing. Make it with: swcl prep odir SOURCE"):
        manifest_of(Workspace(tmp_path), "odir")
