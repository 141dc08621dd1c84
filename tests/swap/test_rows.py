"""Boxes of patches against crops of a numbered grid, which was cut out, turned and mirrored as a whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from swcl_cli.data.columns import SWAP
from swcl_cli.swap.crops import POSITIONS
from swcl_cli.swap.rows import patch_rows
from swcl_cli.swap.views import cut_patch

SIZES = [(64, 64), (80, 64), (64, 80), (65, 65), (67, 63), (62, 67), (91, 64), (90, 61), (61, 61), (200, 33)]


def grid(width: int, height: int) -> NDArray[np.uint8]:
    """Each pixel says where it is: x, y."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=2).astype(np.uint8)


def crops_by_hand(image: NDArray[np.uint8], mirror: bool, turn: bool = False) -> dict[str, NDArray[np.uint8]]:
    """Central square, turned by 180 degrees and mirrored as a whole, then its five crops of half its side."""
    height, width = image.shape[:2]
    side = min(width, height)
    top, left = round((height - side) / 2), round((width - side) / 2)
    square = image[top : top + side, left : left + side]
    square = np.rot90(square, 2) if turn else square
    square = np.fliplr(square) if mirror else square
    half, middle = side // 2, round((side - side // 2) / 2)
    return {
        "tl": square[:half, :half],
        "tr": square[:half, side - half :],
        "c": square[middle : middle + half, middle : middle + half],
        "bl": square[side - half :, :half],
        "br": square[side - half :, side - half :],
    }


def photographs(**values: object) -> pd.DataFrame:
    """Manifest rows with dtypes as the manifest has them."""
    usual = {
        "dataset": "odir", "patient_id": "1", "eye": "left", "path": "data/1.png", "width": 64, "height": 64,
        "image_abnormal": None, "checksum": 7,
    }  # fmt: skip
    image = values.pop("image_id", ["1_left"])
    return (
        pd.DataFrame({"image_id": image})
        .assign(**{**usual, **values})
        .astype({"image_abnormal": pd.ArrowDtype(pa.bool_())})
    )


@pytest.mark.parametrize("inverted", [None, False, True])
@pytest.mark.parametrize("eye", ["left", "right", "unknown"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_patches_are_the_crops_of_the_square_as_it_is_laid(
    width: int, height: int, eye: str, inverted: bool | None
) -> None:
    """inverted: None where nobody asked how photographs lie."""
    table = photographs(width=width, height=height, eye=eye, **({} if inverted is None else {"inverted": inverted}))
    rows = patch_rows(table, np.zeros((1, 5), np.float32), 0.4)
    expected = crops_by_hand(grid(width, height), eye == "right", inverted is True)
    assert set(rows["rotated"]) == {inverted is True} and set(rows["mirrored"]) == {eye == "right"}
    for row in rows.itertuples():
        patch = cut_patch(grid(width, height), row.x, row.y, row.size, row.rotated, row.mirrored)
        np.testing.assert_array_equal(patch, expected[row.position])


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_raw_tl_of_a_right_eye_is_its_tr(width: int, height: int) -> None:
    image = grid(width, height)
    rows = patch_rows(photographs(width=width, height=height, eye="right"), np.zeros((1, 5), np.float32), 0.4)
    raw = crops_by_hand(image, mirror=False)
    for position, opposite in {"tl": "tr", "tr": "tl", "bl": "br", "br": "bl"}.items():
        row = rows.set_index("position").loc[opposite]
        patch = cut_patch(image, row["x"], row["y"], row["size"], row["rotated"], row["mirrored"])
        np.testing.assert_array_equal(patch, raw[position][:, ::-1])


def test_rows() -> None:
    table = photographs(image_id=["1_left", "1_right"], eye=["left", "right"], path=["a.png", "b.png"])
    scores = np.arange(10, dtype=np.float32).reshape(2, 5) / np.float32(10)
    rows = patch_rows(table, scores, 0.4)
    assert set(rows.columns) == set(SWAP.names)
    assert rows["position"].tolist() == 2 * list(POSITIONS) and POSITIONS == ("tl", "tr", "c", "bl", "br")
    assert rows["path"].tolist() == ["a.png"] * 5 + ["b.png"] * 5
    assert rows["score"].tolist() == scores.ravel().tolist()
    assert rows["abnormal"].tolist() == [False] * 4 + [True] * 6
    assert rows["mirrored"].tolist() == [False] * 5 + [True] * 5
    assert (rows["size"] == 32).all() and not rows["single"].any()


def test_checksums_and_singles() -> None:
    """Patient 1 has both eyes, and a second photograph of the left one; of 2's eye the side is unknown."""
    eyes = ["left", "left", "right", "unknown", "right"]
    table = photographs(image_id=list("abcde"), patient_id=list("11122"), eye=eyes, checksum=[2**32 - 1, 0, 5, 6, 7])
    rows = patch_rows(table, np.zeros((5, 5), np.float32), 0.4)
    assert rows["checksum"].tolist() == [value for value in (2**32 - 1, 0, 5, 6, 7) for _ in POSITIONS]
    assert rows["single"].tolist() == [single for single in (False, True, False, True, True) for _ in POSITIONS]


def test_only_photographs_known_as_normal_score_zero() -> None:
    table = photographs(image_id=["a", "b", "c"], image_abnormal=[False, True, None])
    rows = patch_rows(table, np.full((3, 5), 0.7, np.float32), 0.4)
    assert rows["score"].tolist() == [0] * 5 + [np.float32(0.7)] * 10
    assert rows["abnormal"].tolist() == [False] * 5 + [True] * 10
    assert rows["image_abnormal"].isna().tolist() == [False] * 10 + [True] * 5


def test_sizes_may_differ_from_row_to_row() -> None:
    table = photographs(image_id=["a", "b"], width=[64, 90], height=[64, 61])
    rows = patch_rows(table, np.zeros((2, 5), np.float32), 0.4)
    assert rows["size"].tolist() == [32] * 5 + [30] * 5
    assert rows[rows["position"] == "br"][["x", "y"]].values.tolist() == [[32, 32], [14 + 31, 31]]
