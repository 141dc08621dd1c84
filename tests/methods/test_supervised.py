"""The binary cross-entropy as a loop over views, and which photographs with which labels train it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swcl_cli import methods
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.data import manifest
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.loaders import step_batches
from swcl_cli.errors import SwclError
from swcl_cli.methods.embedding import Encoding
from swcl_cli.methods.method import Method
from swcl_cli.methods.supervised import BinaryClassification
from swcl_cli.settings import PretrainSettings
from swcl_cli.settings.resolve import resolve
from swcl_cli.steps import pretrain
from swcl_cli.workspace import Workspace, differences
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


def test_it_is_the_cross_entropy_of_two_classes() -> None:
    """The released code has two logits, of which ours is the difference: loss and the features' gradient agree."""
    module, batch = objective(), batch_of([0, 1, 1])
    features = module.encoding(batch["views"].flatten(0, 1)).detach().requires_grad_()
    logit = module.head(features).squeeze(1)
    two = torch.stack([-0.3 * logit, 0.7 * logit], dim=1)  # any two of this difference
    theirs = nn.functional.cross_entropy(two, batch["label"].repeat_interleave(2))
    (by_theirs,) = torch.autograd.grad(theirs, features)
    loss, _ = module(batch)
    assert loss.item() == pytest.approx(theirs.item(), rel=1e-5)
    weight = module.head.weight[0].detach()
    by_hand = (torch.sigmoid(logit) - batch["label"].repeat_interleave(2)).detach()[:, None] * weight / 6
    torch.testing.assert_close(by_theirs, by_hand, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("name", "dataset"), [("supervised-odir", "odir"), ("supervised-eyepacs", "eyepacs")])
def test_as_released_all_labelled_photographs_train_at_full_size(tmp_path: Path, name: str, dataset: str) -> None:
    """FACTS D2: those of train, val and test, and none without a label; a view of each, as large as it was prepared."""
    label = "abnormal" if dataset == "odir" else "dr_grade"
    prepared.labelled_eyes(tmp_path, dataset, 8, abnormal=None)
    labels = [True, False, None, False] if dataset == "odir" else [2, 0, None, 0]
    prepared.change(tmp_path, dataset, **{label: labels * 4})
    table = manifest.read(Workspace(tmp_path).manifest(dataset))
    rows = table[table[label].notna()]
    method: Any = prepare(tmp_path, name, variant="released")
    images = method.dataset.images
    assert images.photographs.path.to_pylist() == rows["path"].tolist() and len(rows) == 12
    assert set(rows["split"]) == {"train", "val", "test"} and images.split is None
    assert images.positive.tolist() == [True, False, False] * 4
    assert method.dataset[0, 0]["views"].shape == (1, 64, 64, 3)
    assert (method.image_size, method.views, method.views_a_step, method.steps_per_epoch) == (64, 1, 4, 3)
    assert method.summary == (
        f"12 photographs of {dataset}, 4 of them positive; 4 without a label are left out; a batch of 4 = 4 views"
    )
    batch = next(step_batches(method.dataset, method.plan, 0, 1, 0, method.collate))[0]
    loss, _ = method.objective(batch)
    assert loss.isfinite()


def test_by_default_they_are_as_released(tmp_path: Path) -> None:
    """What was made before is told apart, and is finished still where the former form is asked for."""
    for name in METHODS:
        settings = resolve(PretrainSettings, {"method": name}).settings
        supervised = name.startswith("supervised")
        assert settings.variant == ("released" if supervised else "ours")
        old = {"step": "pretrain", "settings": {"method": name}}
        new = {
            "step": "pretrain",
            "settings": {"method": name, **{k: v for k, v in settings.defining().items() if k == "variant"}},
        }
        assert differences(old, new) == (["variant: ours -> released"] if supervised else [])
        assert differences(old, {**new, "settings": {"method": name, "variant": "ours"}}) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, True),
        ({"variant": "ours"}, False),
        ({"probe_data": "eyes"}, False),
        ({"method": "supervised-eyepacs", "probe_data": "odir"}, False),
    ],
)
def test_where_the_probe_looks_at_what_was_learnt_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: dict[str, str], said: bool
) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 8, dr_grade=1)
    prepared.labelled_eyes(tmp_path, "eyes", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 8, abnormal=None)
    prepared.change(tmp_path, "eyepacs", dr_grade=[0, 1] * 8)
    run: dict[str, Any] = {
        "architecture": "resnet18",
        "batch_images": 8,
        "epochs": 1,
        "accelerator": "cpu",
        "workers": 0,
    }
    small = {"method": "supervised-odir", "variant": "released", "workspace": tmp_path, "warmup_epochs": 0, "views": 8}
    pretrain.run(PretrainSettings(**{**small, **run, **given}))
    told = "supervised-odir trains on all photographs of odir, with their labels: the probe looks at some that it has"
    assert (told in capsys.readouterr().out) == said


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
