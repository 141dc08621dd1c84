"""Segmentation: image and masks in step, ignored pixels, networks, and splits that are given."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from swcl_cli.catalogue.structures import Structures
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data import manifest
from swcl_cli.data.augment import IGNORED
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.errors import SwclError
from swcl_cli.models.deeplab import DeepLabV3Plus
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.fpn import Fpn
from swcl_cli.models.initialisation import Initial
from swcl_cli.models.unet import Unet
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import KINDS, crops, trial
from swcl_cli.tasks.crops import CroppedViews
from swcl_cli.tasks.saved import Study
from swcl_cli.tasks.segmentation import Segmentation, Segmenter
from swcl_cli.tasks.trial import Trial
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared

FABRIC = make_fabric("cpu", "fp32")


def write(root: Path, count: int = 4) -> pd.DataFrame:
    """Photographs of several sizes whose mask is where they are bright in red; splits train, val, test, test, ..."""
    rows = []
    for item in range(count):
        image = prepared.photograph(item, 50 + item, 40)
        mask = ((image[..., 0] > 150) * 255).astype(np.uint8)
        rows.append({"split": ("train", "val", "test", "test")[item % 4], "image": image, "mask": mask})
    return prepared.write(root, "drive", rows, size=0)


def splits_of(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {split: table[table["split"] == split] for split in manifest.SPLITS}


def prepare(root: Path, splits: Any = None, **settings: Any) -> Trial:
    chosen = FinetuneSettings(
        **{"workspace": root, "task": "drive", "crop": 32, "batch": 2, "workers": 0, "output_stride": 16, **settings}
    )
    workspace, task = Workspace(root), TASKS["drive"]
    rows = splits or splits_of(manifest.read(workspace.manifest("drive")))
    kind, study = KINDS[task.kind], Study(task, chosen, workspace, rows)
    kind.require(study)
    encoder = create_encoder("resnet18", 0, kind.output_stride(kind.facts(task, chosen)))
    return trial.prepare(study, Initial(encoder, "resnet18", MEAN, STD, None, "random", {}, ""), 0)


def views_of(root: Path, rows: pd.DataFrame, crop: int, task: str = "drive") -> CroppedViews:
    return CroppedViews(root, rows, TASKS[task], crop, 0, MEAN, STD)


def grid(height: int, width: int) -> Any:
    """A number from 0 to 250 for each pixel, in which neighbours differ."""
    y, x = np.mgrid[:height, :width]
    return (5 * x + 3 * y) % 251


@pytest.mark.parametrize(
    ("decoder", "network", "stride"),
    [("deeplabv3plus", DeepLabV3Plus, 16), ("smp-unet", Unet, 32), ("smp-fpn", Fpn, 32)],
)
def test_the_decoder_asked_for_stands_on_the_encoder_given(
    tmp_path: Path, decoder: Any, network: type[nn.Module], stride: int
) -> None:
    write(tmp_path)
    made = prepare(tmp_path, decoder=decoder)
    assert isinstance(made.network, network)
    encoder: Any = made.network.encoder
    assert encoder.feature_info[-1]["reduction"] == stride
    assert 0 <= made.judge(FABRIC, "val", None).measures["f1"] <= 1


class Channels(nn.Module):
    """Log odds of the k-th head are twice the k-th channel; nothing is learnt."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {f"{k}": torch.cat([-images[:, k : k + 1], images[:, k : k + 1]], dim=1) for k in range(self.heads)}


def test_loss_of_each_head_leaves_ignored_pixels_out() -> None:
    """Two structures that overlap: the sum of their mean cross-entropies."""
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.randint(0, 4, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    mask[0, :2], mask[1, :, 3] = IGNORED, IGNORED
    loss = Segmenter(Channels(2))({"image": images, "mask": mask})[0].item()
    expected = 0.0
    for head in range(2):
        costs = []
        for score, bits in zip(images[:, head].flatten().tolist(), mask.flatten().tolist(), strict=True):
            if bits != IGNORED:
                costs.append(math.log(1 + math.exp(-2 * score if bits // 2**head % 2 else 2 * score)))
        assert len(costs) == 20
        expected += sum(costs) / len(costs)
    assert loss == pytest.approx(expected, rel=1e-5)


def test_dice_is_added_of_each_head_over_all_pixels_of_the_batch() -> None:
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.randint(0, 4, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    mask[0, :2], mask[1, :, 3] = IGNORED, IGNORED
    batch = {"image": images, "mask": mask}
    expected = Segmenter(Channels(2))(batch)[0].item()
    for head in range(2):
        both = either = 0.0
        for score, bits in zip(images[:, head].flatten().tolist(), mask.flatten().tolist(), strict=True):
            if bits != IGNORED:
                probability, truth = 1 / (1 + math.exp(-2 * score)), bits // 2**head % 2
                both, either = both + probability * truth, either + probability + truth
        expected += 1 - 2 * both / either
    assert Segmenter(Channels(2), dice=True)(batch)[0].item() == pytest.approx(expected, rel=1e-5)


class Joint(nn.Module):
    """The channels of an image are the logits of background and two structures."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"structures": images}


@pytest.mark.parametrize("dice", [False, True])
def test_structures_that_exclude_each_other_share_a_softmax(dice: bool) -> None:
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    mask[0, :2], mask[1, :, 3] = IGNORED, IGNORED
    loss = Segmenter(Joint(), dice)({"image": images, "mask": mask})[0].item()
    costs, both, either = [], [0.0] * 3, [0.0] * 3
    for logits, number in zip(images.permute(0, 2, 3, 1).reshape(-1, 3).tolist(), mask.flatten().tolist(), strict=True):
        if number != IGNORED:
            whole = sum(map(math.exp, logits))
            costs.append(math.log(whole) - logits[number])
            for place, logit in enumerate(logits):
                both[place] += math.exp(logit) / whole * (place == number)
                either[place] += math.exp(logit) / whole + (place == number)
    assert len(costs) == 20
    expected = sum(costs) / len(costs) + dice * sum(1 - 2 * both[place] / either[place] for place in (1, 2)) / 2
    assert loss == pytest.approx(expected, rel=1e-5)


def test_of_a_structure_that_the_batch_lacks_cross_entropy_alone_teaches() -> None:
    """The second structure occurs nowhere, and where all pixels but one are ignored neither does the first."""
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    alone = torch.full((2, 4, 4), IGNORED)
    alone[1, 0, 2] = 0
    for mask in (torch.zeros(2, 4, 4, dtype=torch.int64), alone):
        losses = [Segmenter(Channels(2), dice)({"image": images, "mask": mask})[0] for dice in (False, True)]
        assert losses[0].item() == losses[1].item() > 0
        (gradient,) = torch.autograd.grad(losses[1], images)
        assert gradient.isfinite().all() and gradient.abs().sum() > 0
    (gradient,) = torch.autograd.grad(Segmenter(Channels(1), True)({"image": 80 * images, "mask": mask})[0], images)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(("chosen", "dice"), [({}, False), ({"loss": "dice"}, True)])
def test_the_loss_is_the_one_that_was_asked_for(tmp_path: Path, chosen: dict[str, Any], dice: bool) -> None:
    write(tmp_path)
    objective: Any = prepare(tmp_path, **chosen).objective
    assert (objective.dice is not None) == dice
    plain = prepare(tmp_path).objective
    assert objective.state_dict().keys() == plain.state_dict().keys()  # a resume state has the same names


@pytest.mark.parametrize("crop", [24, 40, 64])
@pytest.mark.parametrize("scale", [1, 3])
def test_image_and_masks_stay_in_step(tmp_path: Path, crop: int, scale: int) -> None:
    """Each pixel's structures are a function of its own number, which the image shows, through crop, pad, flip and
    grey; masks may have another size than their photograph.
    """
    number = grid(40, 40)
    shade = np.select([number % 5 == 0, number % 3 == 0], [0, 128], 255).astype(np.uint8)
    image = np.stack([number] * 3, axis=2).astype(np.uint8)  # grey: making it grey changes nothing
    masks = np.kron(shade, np.ones((scale, scale), np.uint8))
    rows = prepared.write(tmp_path, "refuge-seg", [{"image": image, "mask": masks}])
    views = views_of(tmp_path, rows, crop, "refuge-seg")
    flips = set()
    for epoch in range(20):
        shown = views[(epoch, 0)]
        seen = np.rint(255 * (shown["image"][2] * STD[2] + MEAN[2])).astype(int)
        inside = shown["mask"] != IGNORED
        assert inside.sum() == min(crop, 40) ** 2
        cup = seen % 5 == 0
        disc = cup | (seen % 3 == 0)
        np.testing.assert_array_equal(shown["mask"][inside], (disc + 2 * cup)[inside])
        flips.add(bool((np.diff(seen, axis=1)[inside[:, 1:] & inside[:, :-1]] % 251 == 5).all()))
    assert flips == {True, False}


def test_views_are_functions_of_their_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the set is too large to stay in memory."""
    rows = write(tmp_path)
    views = views_of(tmp_path, rows, 24)
    monkeypatch.setattr(crops, "KEPT_BYTES", 0)
    again = views_of(tmp_path, rows, 24)
    assert views.decoded is not None and again.decoded is None
    views[(9, 0)]
    for name, value in views[(3, 1)].items():
        np.testing.assert_array_equal(value, again[(3, 1)][name])
        assert not np.array_equal(value, views[(4, 1)][name])


def test_photographs_without_masks_are_named_with_the_command(tmp_path: Path) -> None:
    table = write(tmp_path, 8)
    prepared.change(tmp_path, "drive", mask_path=table["mask_path"].mask(table["split"] == "test"))
    with pytest.raises(SwclError, match="4 of 4 test photographs of drive have no mask, such as 2.*swcl prep drive"):
        prepare(tmp_path)


def test_a_split_without_masks_may_be_left_out(tmp_path: Path) -> None:
    table = write(tmp_path, 8)
    bare = table.assign(mask_path=table["mask_path"].mask(table["split"] == "test"))
    splits = {split: bare[bare["split"] == split].reset_index(drop=True) for split in ("train", "val")}
    made = prepare(tmp_path, splits)
    assert made.images == {"train": 2, "val": 2}
    judged = made.judge(FABRIC, "val", tmp_path / "finetune")
    assert judged.predictions["image_id"].tolist() == ["1", "5"] and "f1" in judged.intervals


def test_photographs_that_were_cropped_do_not_fit_their_masks(tmp_path: Path) -> None:
    rows = write(tmp_path)
    path = Workspace(tmp_path).manifest("drive")
    work = read_provenance(path)
    work["settings"]["crop_to_field"] = True
    manifest.write(path, prepared.manifest_rows(rows), work)
    with pytest.raises(SwclError, match="drive was prepared with --crop-to-field"):
        prepare(tmp_path)


def lacking(root: Path, **splits: int) -> tuple[Study, Segmentation]:
    """Masks of two structures by bits, a photograph a split."""
    rows = [
        {"image_id": split, "split": split, "image": prepared.photograph(1), "mask": np.full((64, 64), bits, np.uint8)}
        for split, bits in splits.items()
    ]
    table = prepared.write(root, "folder", rows, size=0)
    shown = Structures.layered(("disc", "cup"))
    task = replace(
        TASKS["drive"], name="folder", dataset="folder", heads=dict.fromkeys(shown.names, 2), structures=shown
    )
    by_split = {split: table[table["split"] == split] for split in splits}
    return Study(task, FinetuneSettings(task="folder", workspace=root), Workspace(root), by_split), Segmentation()


def test_a_structure_that_no_training_photograph_holds_stops(tmp_path: Path) -> None:
    study, kind = lacking(tmp_path, train=1, val=3)
    with pytest.raises(SwclError) as error:
        kind.require(study)
    assert str(error.value) == (
        "No train photograph of folder holds any cup: that can't be learnt. --heads without them leaves them out, or "
        "put some there by swcl prep folder SOURCE --split-file, or take a larger --fraction."
    )


def test_a_structure_that_another_split_lacks_is_told(tmp_path: Path) -> None:
    study, kind = lacking(tmp_path, train=3, val=2, test=0)
    kind.require(study)
    assert [caution.split(":")[0] for caution in kind.cautions(study)] == [
        "No val photograph of folder holds any disc",
        "No test photograph of folder holds any disc or cup",
    ]
