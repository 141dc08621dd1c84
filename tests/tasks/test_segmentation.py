"""Segmentation: image and mask in step, ignored pixels, maps of any size, and predictions that repeat the measures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from swcl_cli.data.augment import IGNORED
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.images import read_mask
from swcl_cli.errors import SwclError
from swcl_cli.models.deeplab import DeepLabV3Plus
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.unet import Unet
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import TASKS, segmentation
from swcl_cli.tasks.segmentation import CroppedViews, Segmenter, predict_map
from swcl_cli.tasks.trial import Trial
from swcl_cli.training.loop import make_fabric
from swcl_cli.workspace import Workspace
from tests import prepared

FABRIC = make_fabric("cpu", "fp32")


class Slope(nn.Module):
    """Logits from the red channel: above `level` (of a normalised image) is a vessel; nothing is learnt."""

    def __init__(self, level: float = 0.0) -> None:
        super().__init__()
        self.level = level

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        red = images[:, :1] - self.level
        return {"vessel": torch.cat([-red, red], dim=1)}


def write(root: Path, count: int = 4, **values: Any) -> pd.DataFrame:
    """Photographs of two sizes whose mask is where they are bright in red; splits train, val, test, test, ..."""
    rows = []
    for item in range(count):
        image = prepared.photograph(item, 50 + item, 40)
        mask = ((image[..., 0] > 150) * 255).astype(np.uint8)
        fov = ((image.max(axis=2) > 10) * 255).astype(np.uint8)
        split = ("train", "val", "test", "test")[item % 4]
        rows.append({"split": split, "image": image, "mask": mask, "fov": fov, **values})
    return prepared.write(root, "drive", rows, size=0)


def prepare(root: Path, network: nn.Module | None = None, monkeypatch: pytest.MonkeyPatch | None = None) -> Trial:
    settings = FinetuneSettings(workspace=root, task="drive", crop=32, batch=2, workers=0)
    if network is not None and monkeypatch is not None:
        monkeypatch.setattr(segmentation, "DeepLabV3Plus", lambda *_: network)
    encoder = create_encoder("resnet18", 0, 16)
    return segmentation.prepare(TASKS["drive"], settings, Workspace(root), 0, encoder, 512, MEAN, STD)


@pytest.mark.parametrize(
    ("decoder", "network", "stride"), [("deeplabv3plus", DeepLabV3Plus, 16), ("smp-unet", Unet, 32)]
)
def test_the_decoder_asked_for_stands_on_the_encoder_given(
    tmp_path: Path, decoder: Any, network: type[nn.Module], stride: int
) -> None:
    write(tmp_path)
    settings = FinetuneSettings(workspace=tmp_path, task="drive", crop=32, batch=2, output_stride=16, decoder=decoder)
    assert segmentation.encoder_stride(settings) == stride
    encoder = create_encoder("resnet18", 0, stride)
    trial = segmentation.prepare(TASKS["drive"], settings, Workspace(tmp_path), 0, encoder, 512, MEAN, STD)
    assert isinstance(trial.network, network)
    assert next(trial.network.modules()).encoder is encoder
    assert 0 <= trial.judge(FABRIC, "val", None).measures["f1"] <= 1


def test_loss_leaves_ignored_pixels_out() -> None:
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.randint(0, 2, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    mask[0, :2], mask[1, :, 3] = IGNORED, IGNORED
    network: Any = Slope()
    loss = Segmenter(network)({"image": images, "mask": mask})[0].item()
    costs = []
    for red, truth in zip(images[:, 0].flatten().tolist(), mask.flatten().tolist(), strict=True):
        if truth != IGNORED:
            costs.append(math.log(1 + math.exp(-2 * red if truth else 2 * red)))
    assert len(costs) == 20 and loss == pytest.approx(sum(costs) / len(costs), rel=1e-5)


@pytest.mark.parametrize("crop", [24, 40, 64])
def test_image_and_mask_stay_in_step(tmp_path: Path, crop: int) -> None:
    """Each pixel's mask is a function of its own number, which its blue channel shows, through crop, pad and flip."""
    y, x = np.mgrid[:40, :50]
    number = (5 * x + 3 * y) % 251
    image = np.stack([number] * 3, axis=2).astype(np.uint8)  # grey: making it grey changes nothing
    rows = prepared.write(tmp_path, "drive", [{"image": image, "mask": ((number % 3 == 0) * 255).astype(np.uint8)}])
    views = CroppedViews(tmp_path, rows, crop, 0, MEAN, STD)
    flips = set()
    for epoch in range(20):
        shown = views[(epoch, 0)]
        seen = np.rint(255 * (shown["image"][2] * STD[2] + MEAN[2])).astype(int)
        inside = shown["mask"] != IGNORED
        assert inside.sum() == min(crop, 40) * min(crop, 50)
        np.testing.assert_array_equal(shown["mask"][inside], seen[inside] % 3 == 0)
        flips.add(bool((np.diff(seen, axis=1)[inside[:, 1:] & inside[:, :-1]] % 251 == 5).all()))
    assert flips == {True, False}


def test_views_are_functions_of_their_key(tmp_path: Path) -> None:
    rows = write(tmp_path)
    views = CroppedViews(tmp_path, rows, 24, 0, MEAN, STD)
    again = CroppedViews(tmp_path, rows, 24, 0, MEAN, STD)[(3, 1)]
    views[(9, 0)]
    for name, value in views[(3, 1)].items():
        np.testing.assert_array_equal(value, again[name])
        assert not np.array_equal(value, views[(4, 1)][name])


def test_grey_masks_count_above_127(tmp_path: Path) -> None:
    mask = np.full((40, 40), 127, np.uint8)
    mask[:20] = 128
    rows = prepared.write(tmp_path, "drive", [{"image": prepared.photograph(0, 40, 40), "mask": mask}])
    shown = CroppedViews(tmp_path, rows, 40, 0, MEAN, STD)[(0, 0)]["mask"]
    assert (shown[:20] == 1).all() and (shown[20:] == 0).all()


@pytest.mark.parametrize(("height", "width"), [(20, 30), (32, 32), (33, 70), (100, 45)])
def test_maps_of_any_size(height: int, width: int) -> None:
    image = np.random.default_rng(0).normal(size=(3, height, width)).astype(np.float32)
    network: Any = Slope()
    np.testing.assert_allclose(
        predict_map(FABRIC, network, image, "vessel", 32), 1 / (1 + np.exp(-2 * image[0])), atol=1e-5
    )


def dice(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    return float(2 * (truth & found).sum() / (truth.sum() + found.sum())) if truth.any() or found.any() else 1.0


def test_predictions_repeat_the_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write(tmp_path, 10)
    level = (140.5 / 255 - MEAN[0]) / STD[0]
    judged = prepare(tmp_path, Slope(level), monkeypatch).judge(FABRIC, "test", tmp_path / "finetune/drive/x/seed0")
    rows = judged.predictions
    assert rows["image_id"].tolist() == table["image_id"][table["split"] == "test"].tolist()
    expected = []
    for row in rows.itertuples():
        assert row.map_path == f"finetune/drive/x/seed0/maps/{row.image_id}.png"
        found = np.asarray(Image.open(tmp_path / row.map_path)) > 127
        truth = read_mask(tmp_path / row.mask_path) > 127
        assert found.shape == truth.shape
        red = np.asarray(Image.open(tmp_path / row.path))[..., 0]
        np.testing.assert_array_equal(found, red > 140)
        counts = (row.true_positives, row.false_positives, row.false_negatives)
        assert counts == ((truth & found).sum(), (~truth & found).sum(), (truth & ~found).sum())
        expected.append(dice(truth, found))
    assert rows["f1"].tolist() == pytest.approx(expected) and len(set(expected)) > 1
    assert judged.measures["f1"] == pytest.approx(np.mean(expected))
    low, high = judged.intervals["f1"]
    assert low <= judged.measures["f1"] <= high
    assert {"f1_fov", "auc", "auc_fov", "f1_pooled", "sensitivity", "specificity"} < judged.measures.keys()


def test_undecided_pixels_and_empty_masks_count_as_in_the_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probability of just 0.5 is the first class by argmax; where nothing is and nothing is found, F1 is 1."""
    table = write(tmp_path)
    for path in table["mask_path"]:
        Image.fromarray(np.zeros_like(read_mask(tmp_path / path))).save(tmp_path / path)

    class Undecided(nn.Module):
        def forward(self, images: Tensor) -> dict[str, Tensor]:
            return {"vessel": torch.zeros(len(images), 2, *images.shape[-2:])}

    judged = prepare(tmp_path, Undecided(), monkeypatch).judge(FABRIC, "test", tmp_path / "out")
    assert judged.measures["f1"] == 1 and judged.predictions["f1"].tolist() == [1, 1]
    assert judged.predictions["false_positives"].tolist() == [0, 0] and judged.intervals["f1"] == (1, 1)


def test_without_fields_of_view(tmp_path: Path) -> None:
    write(tmp_path)
    prepared.change(tmp_path, "drive", fov_path=None)
    measures = prepare(tmp_path).judge(FABRIC, "val", None).measures
    assert not [name for name in measures if name.endswith("_fov")]


def test_photographs_without_masks_are_named_with_the_command(tmp_path: Path) -> None:
    table = write(tmp_path, 8)
    prepared.change(tmp_path, "drive", mask_path=table["mask_path"].mask(table["split"] == "test"))
    with pytest.raises(
        SwclError, match=r"4 photographs of drive have no mask \(2, 3, 6, ...\).*swcl prep drive SOURCE"
    ):
        prepare(tmp_path)
