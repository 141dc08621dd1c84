"""Training steps: the labeler's, and pretraining's with its loader beside the same step on tensors in memory."""

from __future__ import annotations

import itertools

import pytest
import torch
from bench.conftest import median_seconds

from swcl_cli.data.loaders import step_batches
from swcl_cli.methods import METHODS
from swcl_cli.models.encoders import create_labeler
from swcl_cli.settings import MakeSwapSettings, PrepSettings, PretrainSettings, TrainLabelerSettings
from swcl_cli.steps import make_swap, prep, train_labeler
from swcl_cli.training.loop import make_fabric, parameter_groups, training_steps
from swcl_cli.workspace import Workspace

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
    """ResNet-18 at 96 px, 32 patches a step."""
    settings = PretrainSettings(
        workspace=workspace.root, architecture="resnet18", batch_patches=32, precision=precision, epochs=1
    )
    method = METHODS["swcl"](settings, workspace)
    method.objective.to(memory_format=torch.channels_last)
    fabric = make_fabric("cpu", precision)
    loaded = step_batches(method.dataset, method.plan, 0, 100, 1, method.collate)
    with_loader = _seconds_a_step(fabric, method.objective, loaded)
    memory = next(step_batches(method.dataset, method.plan, 0, 1, 0, method.collate))
    without = _seconds_a_step(fabric, method.objective, itertools.repeat(memory))
    row(
        f"pretraining step, ResNet-18, 96 px, {precision}",
        views_a_second=method.views_a_step / with_loader, of_tensors_in_memory=without / with_loader,
    )  # fmt: skip


def _seconds_a_step(fabric, objective, batches):
    optimizer = torch.optim.SGD(parameter_groups(objective, 0.0), lr=1e-3)
    steps = training_steps(fabric, fabric.setup_module(objective), optimizer, batches, lambda _: 1e-3, seed=0)
    return median_seconds(lambda: next(steps), warm_up=2)
