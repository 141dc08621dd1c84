"""Training steps: the labeler's, and pretraining's with its loader beside the same step on tensors in memory."""

from __future__ import annotations

import itertools
import os

import pytest
import torch
import torchvision

from swcl_cli import methods
from swcl_cli.data.loaders import step_batches
from swcl_cli.models.encoders import create_labeler
from swcl_cli.settings import MakeSwapSettings, PrepSettings, PretrainSettings, TrainLabelerSettings
from swcl_cli.steps import make_swap, prep, train_labeler
from swcl_cli.training.loop import parameter_groups, training_steps
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace
from tests.bench.conftest import in_turn, median_seconds

pytestmark = pytest.mark.bench
SIZE = 192  # prepared; a patch is half of it


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("bench")
    prep.run(PrepSettings(workspace=root, dataset="phantom", patients=20, drawn_size=SIZE, size=SIZE))
    train_labeler.run(
        TrainLabelerSettings(
            workspace=root, architecture="resnet18", crop=64, views=2, accumulate=1, epochs=1, milestones=[],
        )
    )  # fmt: skip
    make_swap.run(MakeSwapSettings(workspace=root))
    return Workspace(root)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_labeler_step(precision, row):
    """A joint step of ResNet-18 on 64 views of 160 px, from tensors in memory."""
    settings = TrainLabelerSettings(architecture="resnet18", precision=precision)
    fabric = make_fabric("cpu", precision)
    objective = train_labeler.S4L(create_labeler("resnet18"), settings).to(memory_format=torch.channels_last)
    batch = {
        "views": torch.randn(32, 2, 3, 160, 160),
        "label": torch.arange(32) % 3 - 1,
        "item": torch.arange(32),
    }
    seconds = _seconds_a_step(fabric, objective, itertools.repeat([batch]))
    row(f"labeler step, ResNet-18, 160 px, {precision}", views_a_second=64 / seconds)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pretraining_step_with_and_without_loader(precision, workspace, row):
    """ResNet-18 at 96 px, 32 patches a step. bf16 pays only where a CPU's bf16 kernels do: the rows say it."""
    method, loaded, memory = _pretraining(workspace, precision, patches=32)
    fabric = make_fabric("cpu", precision)
    with_loader, without = in_turn(
        _steps(fabric, method.objective, loaded), _steps(fabric, method.objective, itertools.repeat(memory))
    )
    share = without / with_loader
    row(
        f"pretraining step, ResNet-18, 96 px, {precision}",
        views_a_second=method.views_a_step / with_loader, of_tensors_in_memory=share,
    )  # fmt: skip
    if precision == "fp32":
        assert share >= 0.92 or os.getloadavg()[0] > 1.5, "the loader costs more than 8 % of the step"


def test_beside_simclr_of_lightly(workspace, tmp_path, row):
    """Views a second of the whole, loader included: the same patches as files, lightly's recipe as its users run it."""
    pytest.importorskip("lightly")
    from lightly.data import LightlyDataset
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms import SimCLRTransform

    method, loaded, _ = _pretraining(workspace, "fp32", patches=64)
    fabric = make_fabric("cpu", "fp32")
    make_swap.run(MakeSwapSettings(workspace=workspace.root, materialize=tmp_path / "files"))
    dataset = LightlyDataset(str(tmp_path / "files" / "patches"), transform=SimCLRTransform(input_size=SIZE // 2))
    loader = torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True, drop_last=True, num_workers=1)
    backbone = torchvision.models.resnet18()
    backbone.fc = torch.nn.Identity()
    network = torch.nn.Sequential(backbone, SimCLRProjectionHead(512, 512, 128))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.06)
    criterion = NTXentLoss(temperature=0.1)

    def theirs():
        while True:
            for views, _, _ in loader:
                loss = criterion(network(views[0]), network(views[1]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                yield

    ours, others = in_turn(_steps(fabric, method.objective, loaded), theirs())
    row("pretraining, ResNet-18, 96 px, fp32: ours", views_a_second=128 / ours, times_lightly=others / ours)
    row("pretraining, ResNet-18, 96 px, fp32: SimCLR of lightly", views_a_second=128 / others)


def _pretraining(workspace, precision, patches):
    """The method, its loaded steps, and one step of tensors in memory."""
    settings = PretrainSettings(
        workspace=workspace.root, architecture="resnet18", batch_patches=patches, precision=precision, epochs=1
    )
    method = methods.prepare(settings, workspace)
    method.objective.to(memory_format=torch.channels_last)
    memory = next(step_batches(method.dataset, method.plan, 0, 1, 0, method.collate))
    return method, step_batches(method.dataset, method.plan, 0, 1000, 1, method.collate), memory


def _steps(fabric, objective, batches):
    optimizer = torch.optim.SGD(parameter_groups(objective, 0.0), lr=1e-3)
    return training_steps(fabric, fabric.setup_module(objective), optimizer, batches, lambda _: 1e-3, seed=0)


def _seconds_a_step(fabric, objective, batches):
    steps = _steps(fabric, objective, batches)
    return median_seconds(lambda: next(steps), warm_up=2)
