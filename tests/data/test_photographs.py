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
        Workspace(root), manifest.read(Workspace(root).manifest("odir"), columns=["path", "eye", "checksum"])
    )


def test_squares_are_central_and_mirrored_where_the_eye_is_a_right_one(tmp_path: Path) -> None:
    photographs = grids(tmp_path)
    assert len(photographs) == 4 and photographs.mirrored.tolist() == [False, True, False, True]
    squares = Squares(photographs, MEAN, STD)
    for item, (width, height, mirrored) in enumerate(
        [(81, 64, False), (81, 64, True), (65, 90, False), (63, 90, True)]
    ):
        side = min(width, height)
        left, top = round((width - side) / 2), round((height - side) / 2)
        across, down = range(left, left + side), np.arange(top, top + side)
        seen = squares[(0, item)] * np.array(STD)[:, None, None] + np.array(MEAN)[:, None, None]
        x = np.array(across[::-1] if mirrored else across)
        np.testing.assert_allclose(255 * seen[0], np.broadcast_to(x, (side, side)), atol=1e-3)
        np.testing.assert_allclose(255 * seen[1], np.broadcast_to(down[:, None], (side, side)), atol=1e-3)
        assert seen.shape == (3, side, side)


def test_without_a_column_of_eyes_nothing_is_mirrored(tmp_path: Path) -> None:
    grids(tmp_path)
    table = manifest.read(Workspace(tmp_path).manifest("odir"), columns=["path"])
    assert not Photographs.of(Workspace(tmp_path), table).mirrored.any()


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
