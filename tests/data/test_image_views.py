"""Whole photographs: which ones, what is read of them, and the keyed views of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from swcl_cli import chance
from swcl_cli.data import manifest
from swcl_cli.data.augment import contrastive_pixels, crop_box
from swcl_cli.data.image_views import ImageViews, read_images
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, fingerprint, read_provenance, write_parquet
from tests import prepared

GRADES = ("abnormal", "dr_grade", "dme_grade", "glaucoma", "keywords")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """8 + 4 eyes of two data sets, of all splits."""
    prepared.labelled_eyes(tmp_path, "odir", 4)
    prepared.labelled_eyes(tmp_path, "eyepacs", 2, abnormal=None, dr_grade=3)
    return Workspace(tmp_path)


def listed(workspace: Workspace, *names: str) -> Any:
    return [manifest.read(workspace.manifest(name)) for name in names]


def test_all_splits_of_the_sets_one_after_the_other(workspace: Workspace) -> None:
    images = read_images(workspace, ["odir", "eyepacs"])
    tables = listed(workspace, "odir", "eyepacs")
    paths = [path for table in tables for path in table["path"]]
    assert len(images) == 12 and images.photographs.path.to_pylist() == paths
    assert images.photographs.checksum is not None
    assert images.photographs.checksum.tolist() == [value for table in tables for value in table["checksum"]]
    assert {split for table in tables for split in table["split"]} == {"train", "val", "test"}
    assert images.positive is None and images.split is None and images.unlabelled == 0
    assert (images.size, images.view_size) == (64, 32)
    assert images.inputs == {name: fingerprint(workspace.manifest(name)) for name in ("odir", "eyepacs")}
    assert list(images.inputs) == ["odir", "eyepacs"]


def test_without_a_label_no_label_column_is_read(workspace: Workspace) -> None:
    for name in ("odir", "eyepacs"):
        path = workspace.manifest(name)
        write_parquet(path, pq.read_table(path).drop_columns(list(GRADES)), read_provenance(path))
    assert len(read_images(workspace, ["odir", "eyepacs"])) == 12
    with pytest.raises(SwclError, match="abnormal"):
        read_images(workspace, ["odir"], "abnormal")


def test_a_label_is_positive_above_0_and_rows_without_are_left_out(workspace: Workspace) -> None:
    prepared.change(workspace.root, "eyepacs", dr_grade=[0, None, 1, 4])
    images = read_images(workspace, ["eyepacs"], "dr_grade")
    assert images.positive is not None
    assert images.positive.tolist() == [False, True, True] and images.unlabelled == 1
    (table,) = listed(workspace, "eyepacs")
    assert images.photographs.path.to_pylist() == [table["path"][row] for row in (0, 2, 3)]
    assert [ImageViews(images, 0, True, 0.8)[0, item]["label"] for item in range(3)] == [0, 1, 1]


def test_one_split(workspace: Workspace) -> None:
    (table,) = listed(workspace, "odir")
    images = read_images(workspace, ["odir"], "abnormal", "train")
    rows = table[table["split"] == "train"]
    assert images.photographs.path.to_pylist() == rows["path"].tolist() and images.split == "train"
    assert images.positive is not None
    assert images.positive.tolist() == rows["abnormal"].tolist()


def test_a_view_is_a_function_of_seed_epoch_photograph_and_view(workspace: Workspace) -> None:
    images = read_images(workspace, ["odir", "eyepacs"])
    for item, epoch in ((0, 0), (9, 3)):
        got = ImageViews(images, 5, flip=True, smallest=0.5)[epoch, item]
        stored = images.photographs.read(item)
        expected = [
            contrastive_pixels(stored, 32, chance.generator(5, "image view", epoch, item, view), True, 0.5)
            for view in range(2)
        ]
        assert got["views"].dtype == torch.uint8 and got["views"].shape == (2, 32, 32, 3)
        assert np.array_equal(got["views"].numpy(), np.stack(expected)) and got["label"] == item
        assert not np.array_equal(expected[0], expected[1])
    seen = [ImageViews(images, seed, True, 0.8)[epoch, 0]["views"] for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])


def test_a_whole_view_is_cropped_and_flipped_alone(workspace: Workspace) -> None:
    """By Pillow: a box of the photograph at the prepared size, mirrored or not; one view. Jitter would show."""
    images, flipped = read_images(workspace, ["odir", "eyepacs"]), 0
    for item in range(12):
        for epoch in range(4):
            got = ImageViews(images, 5, flip=True, smallest=0.5, whole=True)[epoch, item]
            draw, stored = chance.generator(5, "image view", epoch, item, 0), images.photographs.read(item)
            x, y, width, height = crop_box(stored.shape[0], stored.shape[1], draw, 0.5)
            box = (x, y, x + width, y + height)
            view = np.asarray(Image.fromarray(stored).resize((64, 64), Image.Resampling.BILINEAR, box), np.int64)
            mirrored = draw.random() < 0.5
            flipped += mirrored
            assert got["views"].dtype == torch.uint8 and got["views"].shape == (1, 64, 64, 3)
            assert np.abs(got["views"][0].numpy() - (view[:, ::-1] if mirrored else view)).mean() < 1
    assert 12 < flipped < 36
    kept = ImageViews(images, 5, flip=False, smallest=0.5, whole=True)
    turned = [
        torch.equal(kept[epoch, 0]["views"], ImageViews(images, 5, True, 0.5, True)[epoch, 0]["views"].flip(2))
        for epoch in range(20)
    ]
    assert 4 < sum(turned) < 16


def test_a_replaced_photograph_is_named(workspace: Workspace) -> None:
    images = read_images(workspace, ["odir"])
    path = workspace.root / images.photographs.path[3].as_py()
    Image.fromarray(prepared.photograph(99)).save(path)
    with pytest.raises(SwclError, match=f"{path.name} is not the image that was prepared"):
        ImageViews(images, 0, True, 0.8)[0, 3]


def test_errors(workspace: Workspace) -> None:
    with pytest.raises(SwclError, match="A data set is named twice: --data odir,odir."):
        read_images(workspace, ["odir", "odir"])
    with pytest.raises(SwclError, match="idrid/manifest.parquet is missing. Make it with: swcl prep idrid SOURCE"):
        read_images(workspace, ["odir", "idrid"])
    with pytest.raises(SwclError, match="None of the 4 photographs of eyepacs has the label abnormal"):
        read_images(workspace, ["eyepacs"], "abnormal")
    with pytest.raises(SwclError, match="eyepacs has no photograph in its test split"):
        read_images(workspace, ["eyepacs"], "dr_grade", "test")


@pytest.mark.parametrize("size", [96, 0])
def test_sets_of_several_sizes_or_of_their_own(workspace: Workspace, size: int) -> None:
    rows = [{"image": prepared.photograph(0, 96, 96)}]
    prepared.write(workspace.root, "folder", rows, size=size)
    with pytest.raises(SwclError, match="prepared at one size, not odir 64 px, folder .*: run prep with"):
        read_images(workspace, ["odir", "folder"])
    if size == 0:
        with pytest.raises(SwclError, match="prepared at one size"):
            read_images(workspace, ["folder"])
