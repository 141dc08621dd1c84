"""Pretraining methods: each one's step with its loader beside the step on tensors in memory, and beside lightly's."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

import pytest
import timm
import torch

from swcl_cli import methods
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.data.loaders import step_batches
from swcl_cli.methods.method import Method
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.loop import Step
from swcl_cli.workspace import Workspace
from tests.bench.conftest import Row, in_turn, sgd_steps
from tests.bench.phantoms import make_phantom_swap

pytestmark = pytest.mark.bench
SIZE = 192  # prepared; a view is half of it
BATCH = 16
BUSY = 1.5  # load above which a loader has no core of its own


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_phantom_swap(tmp_path_factory.mktemp("bench"), patients=40, size=SIZE)


def prepared(workspace: Workspace, name: str) -> Method:
    batch = "batch_images" if "batch_images" in METHODS[name].options else "batch_patches"
    named = {"workspace": workspace.root, "method": name, "architecture": "resnet18", batch: BATCH}
    method = methods.prepare(PretrainSettings.model_validate(named), workspace)
    method.objective.to(memory_format=torch.channels_last)
    return method


def steps(method: Method, batches: Iterable[Sequence[object]]) -> Iterator[Step]:
    """The loop's steps, with what the method does before and after each."""
    method.before_step(0)
    for step in sgd_steps(method.objective, batches):
        method.after_step(step.index)
        yield step


@pytest.mark.parametrize("name", METHODS)
def test_step_with_and_without_loader(name: str, workspace: Workspace, row: Row) -> None:
    """ResNet-18, fp32, 96 px, 16 photographs or patches a step = 32 views; one worker."""
    method = prepared(workspace, name)
    memory = next(step_batches(method.dataset, method.plan, 0, 1, 0, method.collate))
    loaded = step_batches(method.dataset, method.plan, 0, 1000, 1, method.collate)
    with_loader, without = in_turn(steps(method, loaded), steps(method, itertools.repeat(memory)), steps=10)
    share = without / with_loader
    row(
        f"{name}: step, ResNet-18, 96 px, fp32",
        views_a_second=method.views_a_step / with_loader,
        of_tensors_in_memory=share,
    )
    assert share >= 0.92 or os.getloadavg()[0] > BUSY, "the loader costs more than 8 % of the step"


def test_simclr_beside_lightlys_modules(workspace: Workspace, row: Row) -> None:
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

    def theirs() -> Iterator[None]:
        while True:
            value = criterion(network(views[0]), network(views[1]))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            yield

    ours, others = in_turn(steps(method, itertools.repeat(memory)), theirs(), steps=6)
    row("simclr: step, ResNet-18, 96 px, fp32", views_a_second=2 * BATCH / ours, times_lightlys=others / ours)
    assert others / ours >= 0.95 or os.getloadavg()[0] > BUSY, "slower than lightly's modules"
