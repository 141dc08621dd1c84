"""Patches of stored photographs and their views: keyed, mirrored, one label a patch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from swcl_cli import chance
from swcl_cli.data.augment import crop_box
from swcl_cli.errors import SwclError
from swcl_cli.swap import views as patch_views
from swcl_cli.swap.views import PairViews, cut_patch, join_pairs
from swcl_cli.swap.weak_labels import ABSENT, Patches, read_patches
from tests import prepared


@pytest.fixture
def patches(tmp_path: Path) -> Patches:
    """A pair of patient 1, whose right patch is the tr of its photograph, mirrored, and a single of patient 2."""
    for item, name in enumerate(("l1", "r1", "l2")):
        Image.fromarray(prepared.photograph(item)).save(tmp_path / f"{name}.png")
    rows = {
        "patient_id": ["1", "1", "2"], "eye": ["left", "right", "left"], "position": "tl",
        "path": ["l1.png", "r1.png", "l2.png"], "x": [0, 32, 0], "y": [0, 0, 8], "size": 32,
        "mirrored": [False, True, False],
    }  # fmt: skip
    return read_patches(prepared.swap(tmp_path, pd.DataFrame(rows)), ["patient", "position"], None)


@pytest.fixture
def views(tmp_path: Path, patches: Patches) -> PairViews:
    return PairViews(tmp_path, patches, 3, flip=True, smallest=0.8)


def test_flags() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    box = image[1:3, 2:4]
    np.testing.assert_array_equal(cut_patch(image, 2, 1, 2, rotated=False, mirrored=False), box)
    np.testing.assert_array_equal(cut_patch(image, 2, 1, 2, rotated=False, mirrored=True), box[:, ::-1])
    turned = cut_patch(image, 2, 1, 2, rotated=True, mirrored=False)
    assert turned.tolist() == [[box[1, 1].tolist(), box[1, 0].tolist()], [box[0, 1].tolist(), box[0, 0].tolist()]]
    np.testing.assert_array_equal(cut_patch(image, 2, 1, 2, rotated=True, mirrored=True), turned[:, ::-1])


def test_a_pair_is_two_views_and_a_label_a_patch(views: PairViews, patches: Patches) -> None:
    pair, single = views[(0, 0)], views[(0, 1)]
    assert pair["views"].shape == (2, 2, 32, 32, 3) and pair["views"].dtype == torch.uint8
    assert pair["label"].tolist() == patches.label[:2].tolist() and len(set(pair["label"].tolist())) == 1
    assert single["views"].shape == (1, 2, 32, 32, 3) and single["label"].tolist() == [patches.label[2]]
    assert patches.pairs.tolist() == [[0, 1], [2, ABSENT]]


def test_views_are_functions_of_their_key(tmp_path: Path, views: PairViews, patches: Patches) -> None:
    first = views[(0, 0)]["views"]
    views[(4, 1)]
    assert torch.equal(first, views[(0, 0)]["views"])
    assert torch.equal(first, PairViews(tmp_path, patches, 3, True, 0.8)[(0, 0)]["views"])
    others = [views[(1, 0)]["views"], PairViews(tmp_path, patches, 4, True, 0.8)[(0, 0)]["views"]]
    seen = torch.cat([views.flatten(0, 1) for views in (first, *others)])
    assert len(torch.unique(seen, dim=0)) == len(seen) == 12


def test_flip_and_least_crop_reach_the_views(tmp_path: Path, patches: Patches) -> None:
    kept, off, small = (PairViews(tmp_path, patches, 3, *given) for given in ((True, 0.8), (False, 0.8), (True, 0.08)))
    views = [torch.cat([made[(epoch, 0)]["views"].flatten(0, 1) for epoch in range(4)]) for made in (kept, off, small)]
    same = (views[0] == views[1]).flatten(1).all(dim=1)
    assert 2 < same.sum() < 14  # of 16, half are not flipped
    assert not (views[0] == views[2]).flatten(1).all(dim=1).any()


def test_a_weak_view_is_cropped_flipped_and_greyed_alone(tmp_path: Path, patches: Patches) -> None:
    """By Pillow, of the left patch of the pair; one view of each patch (FACTS C12)."""
    views, stored = PairViews(tmp_path, patches, 3, True, 0.8, weak=True), Image.open(tmp_path / "l1.png")
    greys = flips = 0
    for epoch in range(60):
        made = views[(epoch, 0)]
        assert made["views"].shape == (2, 1, 32, 32, 3) and made["label"].tolist() == patches.label[:2].tolist()
        draw = chance.generator(3, "patch view", epoch, 0, 0)
        x, y, width, height = crop_box(32, 32, draw, 0.8)
        patch = stored.crop((0, 0, 32, 32)).resize((32, 32), Image.Resampling.BILINEAR, (x, y, x + width, y + height))
        mirrored, grey = draw.random() < 0.5, draw.random() < 0.2
        patch = patch.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else patch
        patch = patch.convert("L").convert("RGB") if grey else patch
        assert np.abs(made["views"][0, 0].numpy() - np.asarray(patch, np.int64)).mean() < 1
        greys, flips = greys + grey, flips + mirrored
    assert 5 < greys < 20 < flips < 40


def test_what_is_augmented_is_the_patch_in_its_frame(
    views: PairViews, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[NDArray[np.uint8]] = []

    def keep(image: NDArray[np.uint8], size: int, *_: object) -> NDArray[np.uint8]:
        seen.append(image)
        return np.zeros((size, size, 3), np.uint8)

    monkeypatch.setattr(patch_views, "contrastive_pixels", keep)
    views[(0, 0)]
    left, right = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("l1", "r1"))
    for view, expected in zip(seen, [left[:32, :32]] * 2 + [right[:, ::-1][:32, :32]] * 2, strict=True):
        np.testing.assert_array_equal(view, expected)


def test_pairs_and_singles_join(views: PairViews, patches: Patches) -> None:
    batch = join_pairs([views[(0, 1)], views[(0, 0)]])
    assert batch["views"].shape == (3, 2, 32, 32, 3)
    assert batch["label"].tolist() == patches.label[[2, 0, 1]].tolist()
    assert torch.equal(batch["views"][1:], views[(0, 0)]["views"])


@pytest.mark.parametrize("fate", ["replaced", "lost"])
def test_a_photograph_that_is_not_the_one_that_was_scored(views: PairViews, tmp_path: Path, fate: str) -> None:
    """Of equal size, so that only its checksum tells; its path and both commands are named."""
    path = tmp_path / "r1.png"
    path.unlink()
    if fate == "replaced":
        Image.fromarray(prepared.photograph(7)).save(path)
    told = {"replaced": "is not the image that was prepared", "lost": "can't be read"}[fate]
    with pytest.raises(SwclError, match=f"^{path} {told}.*`swcl prep`, then run `swcl make-swap --fresh`.$"):
        views[(0, 0)]
    views[(0, 1)]  # the other patient's photograph is as it was
