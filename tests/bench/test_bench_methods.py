"""Pretraining methods: each one's step with its loader beside the step on tensors in memory, and beside lightly's."""

from __future__ import annotations

import itertools
import os

import pytest
import timm
import torch

from swcl_cli import methods
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.data.loaders import step_batches
from swcl_cli.settings import MakeSwapSettings, PrepSettings, PretrainSettings, TrainLabelerSettings
from swcl_cli.steps import make_swap, prep, train_labeler
from swcl_cli.training.loop import parameter_groups, training_steps
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace
from tests.bench.conftest import in_turn

pytestmark = pytest.mark.bench
SIZE = 192  # prepared; a view is half of it
BATCH = 16
BUSY = 1.5  # load above which a loader has no core of its own


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("bench")
    prep.run(PrepSettings(workspace=root, dataset="phantom", patients=40, drawn_size=SIZE, size=SIZE))
    small = {"architecture": "resnet18", "crop": 64, "views": 2, "accumulate": 1, "epochs": 1, "milestones": []}
    train_labeler.run(TrainLabelerSettings(workspace=root, **small))
    make_swap.run(MakeSwapSettings(workspace=root))
    return Workspace(root)


def prepared(workspace, name):
    batch = "batch_images" if "batch_images" in METHODS[name].options else "batch_patches"
    named = {"workspace": workspace.root, "method": name, "architecture": "resnet18"}
    method = methods.prepare(PretrainSettings(**named, **{batch: BATCH}), workspace)
    method.objective.to(memory_format=torch.channels_last)
    return method


def steps(method, batches):
    """The loop's steps, with what the method does before and after each."""
    fabric = make_fabric("cpu", "fp32")
    optimizer = torch.optim.SGD(parameter_groups(method.objective, 0.0), lr=1e-3)
    trained = training_steps(fabric, fabric.setup_module(method.objective), optimizer, batches, lambda _: 1e-3, seed=0)
    method.before_step(0)
    for step in trained:
        method.after_step(step.index)
        yield step


@pytest.mark.parametrize("name", METHODS)
def test_step_with_and_without_loader(name, workspace, row):
    """ResNet-18, fp32, 96 px, 16 photographs or patches a step = 32 views; one worker."""
    method = prepared(workspace, name)
    memory = next(step_batches(method.dataset, method.plan, 0, 1, 0, method.collate))
    loaded = step_batches(method.dataset, method.plan, 0, 1000, 1, method.collate)
    with_loader, without = in_turn(steps(method, loaded), steps(method, itertools.repeat(memory)), steps=10)
    share = without / with_loader
    row(
        f"{name}: step, ResNet-18, 96 px, fp32",
        views_a_second=method.views_a_step / with_loader, of_tensors_in_memory=share,
    )  # fmt: skip
    assert share >= 0.92 or os.getloadavg()[0] > BUSY, "the loader costs more than 8 % of the step"


def test_simclr_beside_lightlys_modules(workspace, row):
    """The step on tensors in memory: the same encoder, size, precision, memory format and optimiser."""
    loss = pytest.importorskip("lightly.loss")
    modules = pytest.importorskip("lightly.models.modules")
    method = prepared(workspace, "simclr")
    memory = next(step_batches(method.dataset, method.plan, 0, 1, 0, method.collate))
    backbone = timm.create_model("resnet18", num_classes=0).to(memory_format=torch.channels_last)
    network = torch.nn.Sequential(backbone, modules.SimCLRProjectionHead(512, 512, 128))
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    criterion = loss.NTXentLoss(temperature=0.1)
    views = [torch.randn(BATCH, 3, SIZE // 2, SIZE // 2) for _ in range(2)]

    def theirs():
        while True:
            value = criterion(network(views[0]), network(views[1]))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            yield

    ours, others = in_turn(steps(method, itertools.repeat(memory)), theirs(), steps=6)
    row("simclr: step, ResNet-18, 96 px, fp32", views_a_second=2 * BATCH / ours, times_lightlys=others / ours)
    assert others / ours >= 0.95 or os.getloadavg()[0] > BUSY, "slower than lightly's modules"
