"""The binary cross-entropy as a loop over views, and which photographs with which labels train it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swcl_cli import methods
from swcl_cli.data import manifest
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.errors import SwclError
from swcl_cli.methods.embedding import Encoding
from swcl_cli.methods.method import Method
from swcl_cli.methods.supervised import BinaryClassification
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace
from tests import prepared
from tests.gradients import gradient, whole_gradient


def prepare(root: Path, name: str, **values: Any) -> Method:
    settings = PretrainSettings(
        **{"workspace": root, "method": name, "architecture": "resnet18", "batch_images": 4, **values}
    )
    return methods.prepare(settings, Workspace(root))


def objective() -> BinaryClassification:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 6))
        return BinaryClassification(Encoding(encoder, MEAN, STD), nn.Linear(6, 1))


def batch_of(labels: list[int]) -> dict[str, Tensor]:
    drawn = torch.randint(0, 256, (len(labels), 2, 4, 4, 3), generator=torch.Generator().manual_seed(1))
    return {"views": drawn.to(torch.uint8), "label": torch.tensor(labels)}


@pytest.mark.parametrize("labels", [[0, 1, 1, 0, 1], [1], [0], [1, 1, 1]])
def test_loss_and_accuracy_by_loops(labels: list[int]) -> None:
    module, batch = objective(), batch_of(labels)
    total, right = 0.0, 0
    for photograph, label in zip(batch["views"], labels, strict=True):
        for view in photograph:
            image = (view.permute(2, 0, 1) / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
            logit = float(module.head(module.encoding.encoder(image[None])).detach())
            p = 1 / (1 + math.exp(-logit))
            total -= math.log(p if label else 1 - p)
            right += (p > 0.5) == bool(label)
    loss, metrics = module(batch)
    assert loss.item() == pytest.approx(total / (2 * len(labels)), rel=1e-5)
    assert metrics["accuracy"].item() == pytest.approx(right / (2 * len(labels)))
    loss.backward()
    assert whole_gradient(module).isfinite().all()


@pytest.mark.parametrize(("logit", "expected"), [(0.0, math.log(2)), (200.0, 100.0)])
def test_loss_by_hand_and_far_out(logit: float, expected: float) -> None:
    """A logit of 200 where half of the labels are 0: a mean of 0 and 200, no infinity, gradient a half each."""
    module, batch = objective(), batch_of([0, 1])
    with torch.no_grad():
        module.head.weight.zero_()
        module.head.bias.fill_(logit)
    loss, _ = module(batch)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert gradient(module.head.bias).item() == pytest.approx(0 if logit == 0 else 0.5)


def test_odir_trains_on_its_train_split_and_its_keywords(tmp_path: Path) -> None:
    table = prepared.labelled_eyes(tmp_path, "odir", 8)
    method: Any = prepare(tmp_path, "supervised-odir")
    rows = table[table["split"] == "train"]
    images = method.dataset.images
    assert images.photographs.path.to_pylist() == rows["path"].tolist() and 0 < len(rows) < len(table)
    assert images.positive.tolist() == rows["abnormal"].tolist()
    assert method.inputs.keys() == {"odir"} and method.image_size == 32 and method.views_a_step == 8
    assert method.summary == "8 train photographs of odir, 4 of them positive; a batch of 4 = 8 views"
    assert [method.dataset[0, item]["label"] for item in range(8)] == rows["abnormal"].astype(int).tolist()
    assert method.objective.head.weight.shape == (1, 512)


def test_eyepacs_trains_on_any_retinopathy(tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "eyepacs", 8, abnormal=None)
    grades = [0, 1, 2, 3, 4, 0, 0, None] * 2
    prepared.change(tmp_path, "eyepacs", dr_grade=grades)
    table = manifest.read(Workspace(tmp_path).manifest("eyepacs"))
    rows = table[(table["split"] == "train") & table["dr_grade"].notna()]
    method: Any = prepare(tmp_path, "supervised-eyepacs")
    assert method.dataset.images.photographs.path.to_pylist() == rows["path"].tolist()
    assert method.dataset.images.positive.tolist() == (rows["dr_grade"] > 0).tolist()
    assert "; 1 without a label are left out; a batch" in method.summary


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="odir/manifest.parquet is missing. Make it with: swcl prep odir SOURCE"):
        prepare(tmp_path, "supervised-odir")
    prepared.labelled_eyes(tmp_path, "odir", 4, abnormal=None)
    with pytest.raises(SwclError, match="None of the 4 photographs of odir has the label abnormal: prepare a download"):
        prepare(tmp_path, "supervised-odir")
    prepared.labelled_eyes(tmp_path, "eyepacs", 4, dr_grade=0)
    with pytest.raises(
        SwclError, match="0 of the 4 labelled photographs in the train split of eyepacs have dr_grade ab"
    ):
        prepare(tmp_path, "supervised-eyepacs")
    prepared.labelled_eyes(tmp_path, "odir", 4, abnormal=True)
    with pytest.raises(SwclError, match="4 of the 4 labelled .* nothing to tell apart"):
        prepare(tmp_path, "supervised-odir")
