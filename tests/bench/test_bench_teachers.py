"""Steps of BYOL and DINO beside lightly's own modules, and the update of a teacher alone: time and memory."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from swcl_cli.data.colour import MEAN, STD
from swcl_cli.methods.byol import Bootstrap
from swcl_cli.methods.dino import SelfDistillation
from swcl_cli.methods.embedding import Embedding, Encoding
from swcl_cli.methods.teacher import Teacher
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.self_distillation_heads import EMBEDDING, BatchFreeMLP, Bottleneck, Prototypes
from swcl_cli.training.loop import Step, parameter_groups, training_steps
from swcl_cli.training.processes import make_fabric
from tests.bench.conftest import Row, in_turn, median_seconds

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("ignore::FutureWarning")]
SIZE, BATCH, MOMENTUM = 96, 32, 0.996
BUSY = 1.5  # load above which the two can't be compared to 5 %


def ours(name: str, precision: str) -> Iterator[Step]:
    """Bytes in memory -> the program's loop, AdamW, teacher's update."""
    encoder = create_encoder("resnet18")
    objective: Bootstrap | SelfDistillation
    if name == "byol":
        objective = Bootstrap(Encoding(encoder, MEAN, STD), BatchFreeMLP(512), BatchFreeMLP(EMBEDDING))
        teacher, student = objective.target, objective.online
    else:
        objective = SelfDistillation(Embedding(encoder, Bottleneck(512), MEAN, STD, 0), Prototypes())
        teacher, student = objective.teacher, objective.student
    objective.to(memory_format=torch.channels_last)
    fabric = make_fabric("cpu", precision)
    optimizer = torch.optim.AdamW(parameter_groups(objective, 1e-4), lr=1e-4)
    views = torch.randint(0, 256, (BATCH, 2, SIZE, SIZE, 3), dtype=torch.uint8)
    batches = itertools.repeat([{"views": views}])
    for step in training_steps(fabric, fabric.setup_module(objective), optimizer, batches, lambda _: 1e-4, seed=0):
        teacher.update(student, MOMENTUM)
        yield step


def lightlys(name: str, precision: str) -> Iterator[None]:
    """Normalised views in memory -> a step as its documentation writes it, with the same encoder and optimiser."""
    modules = pytest.importorskip("lightly.models.modules")
    update = pytest.importorskip("lightly.models.utils").update_momentum
    loss = pytest.importorskip("lightly.loss")
    if name == "byol":
        heads = [modules.BYOLProjectionHead(512, 4096, 256) for _ in range(2)]
        predictor, cosine = modules.BYOLPredictionHead(256, 4096, 256), loss.NegativeCosineSimilarity()
    else:
        heads = [modules.DINOProjectionHead(512, 2048, 256, 4096) for _ in range(2)]
        predictor, distill = nn.Identity(), loss.DINOLoss(output_dim=4096)
    student, teacher = (
        nn.Sequential(create_encoder("resnet18"), head).to(memory_format=torch.channels_last) for head in heads
    )
    teacher.requires_grad_(False)
    trained = [weight for part in (student, predictor) for weight in part.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    views = [torch.randn(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last) for _ in range(2)]
    while True:
        update(student, teacher, MOMENTUM)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            targets = [teacher(view) for view in views]
            found = [predictor(student(view)) for view in views]
            if name == "byol":
                value = (cosine(found[0], targets[1]) + cosine(found[1], targets[0])) / 2
            else:
                value = distill(targets, found)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        yield


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["byol", "dino"])
def test_step_beside_lightlys_modules(name: str, precision: str, row: Row) -> None:
    """ResNet-18, 96 px, 32 photographs = 64 views. BYOL's heads differ: ours standardise weights, theirs BatchNorm."""
    pytest.importorskip("lightly")
    seconds, theirs = in_turn(ours(name, precision), lightlys(name, precision), steps=4)
    row(
        f"{name}: step, ResNet-18, 96 px, {precision}",
        views_a_second=2 * BATCH / seconds,
        times_lightlys=theirs / seconds,
    )
    assert theirs / seconds >= 0.95 or os.getloadavg()[0] > BUSY, "slower than lightly's modules"


@pytest.mark.parametrize("architecture", ["resnet18", "resnetv2_50x1_bit"])
def test_teachers_update(architecture: str, row: Row) -> None:
    """Beside lightly's; and the memory that an update asks for, as a share of the network's."""
    student = create_encoder(architecture)
    teacher = Teacher(student)
    weights = sum(weight.nbytes for weight in teacher.parameters())

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        teacher.update(student, MOMENTUM)
    asked = sum(max(event.self_cpu_memory_usage, 0) for event in profiled.events())
    assert asked < 0.01 * weights, "the update copies the network"
    seconds = median_seconds(lambda: teacher.update(student, MOMENTUM))
    update = pytest.importorskip("lightly.models.utils").update_momentum
    theirs = copy.deepcopy(student).requires_grad_(False)
    row(
        f"teacher's update, {architecture}, {weights / 1e6:.0f} MB",
        ms=1000 * seconds,
        of_memory_copied=asked / weights,
        times_lightlys=median_seconds(lambda: update(student, theirs, MOMENTUM)) / seconds,
    )
