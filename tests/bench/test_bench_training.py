"""Training steps: the labeler's, and pretraining's with its loader beside the same step on tensors in memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import torchvision

from swcl_cli import methods
from swcl_cli.data.loaders import step_batches
from swcl_cli.methods.method import Method
from swcl_cli.models.encoders import create_labeler
from swcl_cli.settings import MakeSwapSettings, PretrainSettings, TrainLabelerSettings
from swcl_cli.steps import make_swap, train_labeler
from swcl_cli.workspace import Workspace
from tests.bench.conftest import Row, in_turn, median_seconds, sgd_steps
from tests.bench.phantoms import make_phantom_swap

pytestmark = pytest.mark.bench
SIZE = 192  # prepared; a patch is half of it
Precision = Literal["fp32", "bf16"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_phantom_swap(tmp_path_factory.mktemp("bench"), patients=20, size=SIZE)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_labeler_step(precision: Precision, row: Row) -> None:
    """A joint step of ResNet-18 on 64 views of 160 px, from tensors in memory."""
    settings = TrainLabelerSettings(architecture="resnet18", precision=precision)
    objective = train_labeler.S4L(create_labeler("resnet18"), settings).to(memory_format=torch.channels_last)
    batch = {
        "views": torch.randint(0, 256, (32, 2, 3, 160, 160), dtype=torch.uint8),
        "label": torch.arange(32) % 3 - 1,
        "item": torch.arange(32),
    }
    steps = sgd_steps(objective, itertools.repeat([batch]), precision)
    seconds = median_seconds(lambda: next(steps), warm_up=2)
    row(f"labeler step, ResNet-18, 160 px, {precision}", views_a_second=64 / seconds)


def test_labeler_step_in_chunks(row: Row) -> None:
    """Views in chunks of 16 beside all 64 of 224 px at once, ResNet-34, in turn; more in FACTS 6."""
    batch = {
        "views": torch.randint(0, 256, (16, 4, 3, 224, 224), dtype=torch.uint8),
        "label": torch.tensor([0, 1] * 4 + [-1] * 8),
        "item": torch.arange(16),
    }
    ways = []
    for chunk in (0, 16):
        objective = train_labeler.S4L(create_labeler("resnet34"), TrainLabelerSettings(chunk=chunk))
        ways.append(sgd_steps(objective.to(memory_format=torch.channels_last), itertools.repeat([batch])))
    whole, chunked = in_turn(*ways, steps=1)
    row("labeler step, ResNet-34, 224 px, --chunk 16", views_a_second=64 / chunked, times_whole=chunked / whole)
    assert chunked / whole <= 1.5 or os.getloadavg()[0] > 1.5, "chunks cost more than half of the step"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_pretraining_step_with_and_without_loader(precision: Precision, workspace: Workspace, row: Row) -> None:
    """ResNet-18 at 96 px, 32 patches a step. bf16 pays only where a CPU's bf16 kernels do: the rows say it."""
    method, loaded, memory = _pretraining(workspace, precision, patches=32)
    with_loader, without = in_turn(
        *(sgd_steps(method.objective, batches, precision) for batches in (loaded, itertools.repeat(memory)))
    )
    share = without / with_loader
    row(
        f"pretraining step, ResNet-18, 96 px, {precision}",
        views_a_second=method.views_a_step / with_loader,
        of_tensors_in_memory=share,
    )
    if precision == "fp32":
        assert share >= 0.92 or os.getloadavg()[0] > 1.5, "the loader costs more than 8 % of the step"


def test_beside_simclr_of_lightly(workspace: Workspace, tmp_path: Path, row: Row) -> None:
    """Views a second of the whole, loader included: the same patches as files, lightly's recipe as its users run it."""
    pytest.importorskip("lightly")
    from lightly.data import LightlyDataset
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms.simclr_transform import SimCLRTransform

    method, loaded, _ = _pretraining(workspace, "fp32", patches=64)
    make_swap.run(MakeSwapSettings(workspace=workspace.root, materialize=tmp_path / "files"))
    dataset = LightlyDataset(str(tmp_path / "files" / "patches"), transform=SimCLRTransform(input_size=SIZE // 2))
    loader = torch.utils.data.DataLoader(dataset, batch_size=64, shuffle=True, drop_last=True, num_workers=1)
    backbone = torchvision.models.resnet18()
    backbone.fc = torch.nn.Identity()
    network = torch.nn.Sequential(backbone, SimCLRProjectionHead(512, 512, 128))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.06)
    criterion = NTXentLoss(temperature=0.1)

    def theirs() -> Iterator[None]:
        while True:
            for views, _, _ in loader:
                loss = criterion(network(views[0]), network(views[1]))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                yield

    ours, others = in_turn(sgd_steps(method.objective, loaded), theirs())
    row("pretraining, ResNet-18, 96 px, fp32: ours", views_a_second=128 / ours, times_lightly=others / ours)
    row("pretraining, ResNet-18, 96 px, fp32: SimCLR of lightly", views_a_second=128 / others)


def _pretraining(
    workspace: Workspace, precision: Precision, patches: int
) -> tuple[Method, Iterator[Sequence[Any]], Sequence[Any]]:
    """The method, its loaded steps, and one step of tensors in memory."""
    settings = PretrainSettings(
        workspace=workspace.root, architecture="resnet18", batch_patches=patches, precision=precision, epochs=1
    )
    method = methods.prepare(settings, workspace)
    method.objective.to(memory_format=torch.channels_last)
    memory = next(step_batches(method.dataset, method.plan, 0, 1, 0, method.collate))
    return method, step_batches(method.dataset, method.plan, 0, 1000, 1, method.collate), memory
