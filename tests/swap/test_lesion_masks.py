"""Which lesions a patch holds, by hand: masks of twice and of other sizes than the prepared photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.catalogue.structures import Structures
from swcl_cli.data import manifest
from swcl_cli.data.columns import MANIFEST
from swcl_cli.errors import SwclError
from swcl_cli.swap.lesion_masks import KINDS, lesion_masks_of, read_lesion_shares, read_patch_lesions

CORNERS = {"tl": (0, 0), "tr": (32, 0), "c": (16, 16), "bl": (0, 32), "br": (32, 32)}


def patches(**masks: str) -> pd.DataFrame:
    """Five patches of a prepared photograph of 64 px for each mask."""
    rows = [
        {"lesion_mask_path": path, "position": position, "x": x, "y": y, "size": 32, "width": 64, "height": 64}
        for path in masks.values()
        for position, (x, y) in CORNERS.items()
    ]
    return pd.DataFrame(rows)


def save(path: Path, mask: NDArray[np.uint8]) -> str:
    Image.fromarray(mask).save(path)
    return path.name


def holding(found: pd.DataFrame, table: pd.DataFrame, kind: str) -> list[str]:
    return list(table["position"][found[kind].to_numpy()])


def test_a_mask_of_twice_the_size(tmp_path: Path) -> None:
    mask = np.zeros((128, 128), np.uint8)
    mask[20:24, 100:104] = 1 + KINDS.index("haemorrhage")  # 10 to 12 down, 50 to 52 across: tr alone
    mask[63, 63] = 1 + KINDS.index("drusen")  # just within tl, and in c
    mask[64, 64] = 1 + KINDS.index("microaneurysm")  # just within br, and in c
    mask[127, 0] = 1 + KINDS.index("drusen")  # the corner of bl
    table = patches(only=save(tmp_path / "a.png", mask))
    found = read_patch_lesions(tmp_path, table)
    assert found.columns.tolist() == ["microaneurysm", "haemorrhage", "drusen"]
    assert holding(found, table, "haemorrhage") == ["tr"]
    assert holding(found, table, "drusen") == ["tl", "c", "bl"]
    assert holding(found, table, "microaneurysm") == ["c", "br"]


def test_a_mask_of_another_shape_and_a_patch_of_several_photographs(tmp_path: Path) -> None:
    flat, empty = np.zeros((32, 128), np.uint8), np.zeros((64, 64), np.uint8)
    flat[31, 127] = 255  # a plain black and white mask knows no kinds
    table = patches(flat=save(tmp_path / "flat.png", flat), empty=save(tmp_path / "empty.png", empty))
    table = table.sample(frac=1, random_state=0)
    found = read_patch_lesions(tmp_path, table)
    assert found.columns.tolist() == ["other"] and len(found) == 10
    held = table[found["other"].to_numpy()]
    assert held[["lesion_mask_path", "position"]].values.tolist() == [["flat.png", "br"]]


def test_against_counting_every_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask = np.where(rng.random((96, 96)) < 0.002, rng.integers(1, 10, (96, 96)), 0).astype(np.uint8)
    table = patches(only=save(tmp_path / "a.png", mask))
    found = read_patch_lesions(tmp_path, table)
    expected = {
        (position, KINDS[mask[y, x] - 1] if mask[y, x] <= len(KINDS) else "other")
        for y, x in np.argwhere(mask)
        for position, (left, top) in CORNERS.items()
        if left <= x / 1.5 < left + 32 and top <= y / 1.5 < top + 32
    }
    assert {(position, kind) for kind in found for position in holding(found, table, kind)} == expected


def test_shares_of_pixels_against_counting_them(tmp_path: Path) -> None:
    """Of a mask of twice the photograph's size, whose patches are of 64 by 64 pixels there."""
    mask = (np.random.default_rng(0).random((128, 128)) < 0.03) * np.uint8(7)
    table = patches(only=save(tmp_path / "a.png", mask))
    found = read_lesion_shares(tmp_path, table)
    by_hand = [(mask[2 * y : 2 * y + 64, 2 * x : 2 * x + 64] > 0).mean() for x, y in CORNERS.values()]
    assert found.tolist() == by_hand


def test_structures_of_masks_that_are_lesions(tmp_path: Path) -> None:
    """Bits of a mask: the first and the third are lesions and may overlap, the second is the disc."""
    names = ("haemorrhage", "disc", "soft_exudate")
    path = tmp_path / "data/mine/manifest.parquet"
    row = dict.fromkeys(MANIFEST.required, "x") | {"split": "train", "eye": "left", "width": 1, "height": 1}
    manifest.write(path, [row | {"checksum": 0}], {}, structures=Structures.layered(names))
    masks = lesion_masks_of(path)
    assert (masks.column, masks.kinds) == ("mask_path", ("haemorrhage", "soft exudate"))
    assert masks.values.tolist() == [1, 3, 4, 5, 6, 7]
    mask = np.zeros((64, 64), np.uint8)
    mask[0, 0], mask[0, 63], mask[63, 0] = 0b101, 0b010, 0b110
    table = patches(only=save(tmp_path / "a.png", mask)).rename(columns={"lesion_mask_path": "mask_path"})
    found = read_patch_lesions(tmp_path, table, masks)
    assert holding(found, table, "haemorrhage") == ["tl"] and holding(found, table, "soft exudate") == ["tl", "bl"]
    assert (read_lesion_shares(tmp_path, table, masks) > 0).tolist() == [True, False, False, True, False]
    save(tmp_path / "a.png", mask + np.uint8(2))
    with pytest.raises(SwclError, match=r"a\.png holds the value 8, which means nothing in this data set"):
        read_patch_lesions(tmp_path, table, masks)


def test_structures_that_are_no_lesions_leave_the_masks_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "data/mine/manifest.parquet"
    row = dict.fromkeys(MANIFEST.required, "x") | {"split": "train", "eye": "left", "width": 1, "height": 1}
    manifest.write(path, [row | {"checksum": 0}], {}, structures=Structures.layered(("disc", "cup")))
    assert lesion_masks_of(path).column == "lesion_mask_path"


def test_no_lesion_at_all(tmp_path: Path) -> None:
    table = patches(only=save(tmp_path / "a.png", np.zeros((64, 64), np.uint8)))
    found = read_patch_lesions(tmp_path, table)
    assert found.shape == (5, 0) and not found.any(axis=1).any()


def test_a_missing_mask_is_named(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="gone.png can't be read"):
        read_patch_lesions(tmp_path, patches(only="gone.png"))
