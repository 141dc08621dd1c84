"""Phantom eyes as IDRiD's segmentation: red masks, no file where there is no lesion, and the real reader's opinion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from swcl_cli.datasets import idrid_seg
from swcl_cli.phantom.layouts.idrid_seg import MASKS, lay_out_idrid_seg
from tests.folders import contents


def test_equal_seeds_give_equal_bytes_whatever_the_workers(tmp_path: Path) -> None:
    for name, workers in (("alone", 1), ("shared", 2)):
        assert list(lay_out_idrid_seg(tmp_path / name, 5, 2, 1, 64, workers)) == [0, 1, 2]
    assert contents(tmp_path / "alone") == contents(tmp_path / "shared")


def test_the_reader_finds_what_was_drawn(tmp_path: Path) -> None:
    list(lay_out_idrid_seg(tmp_path, 1, 8, 4, 160))
    download = idrid_seg.read(tmp_path)
    assert not download.problems and download.labelled == {"train": 8, "test": 4}
    ids = {photograph.image_id for photograph in download.photographs}
    assert ids == {f"IDRiD_{101 + number}" for number in range(12)}
    assert not ids & {own for pairs in idrid_seg.SOURCE.shared["idrid"].values() for own in pairs}
    layers = [photograph.layers for photograph in download.photographs]
    assert all(each[4] for each in layers) and all(any(each[:4]) for each in layers)  # a disc, and some lesion
    assert any(None in each for each in layers)
    for path in sorted((tmp_path / MASKS).rglob("*.tif")):
        with Image.open(path) as mask:
            assert mask.mode == "P" and (mask.getpalette() or [])[:6] == [0, 0, 0, 255, 0, 0]
            assert set(np.unique(np.asarray(mask))) == {0, 1} and mask.size == (241, 160)
