"""What a frozen encoder saves of a training step. The loader's share stands in test_bench_segmentation.py."""

from __future__ import annotations

import itertools
import statistics
import time

import pytest
import torch

from swcl_cli.models.encoders import ARCHITECTURES, create_encoder
from swcl_cli.models.heads import JointHeads
from swcl_cli.tasks.classification import JointClassifier
from swcl_cli.tasks.fitting import frozen
from swcl_cli.training.loop import parameter_groups, training_steps
from swcl_cli.training.processes import make_fabric

pytestmark = pytest.mark.bench
BATCH, HEADS = 8, {"dr_grade": 5, "dme_grade": 3}


@pytest.mark.parametrize("architecture", ["resnet18", "resnetv2_50x1_bit"])
def test_step_of_a_frozen_encoder(architecture, row):
    """Batch 8 at 224 px."""
    labels = {name: torch.arange(BATCH) % count for name, count in HEADS.items()}
    batch = {"image": torch.randn(BATCH, 3, 224, 224), "labels": labels}
    trained, heads_alone = (_steps(architecture, batch, freeze) for freeze in (False, True))
    taken = [[], []]
    for _ in range(3):
        for steps, seconds in zip((trained, heads_alone), taken, strict=True):
            next(steps)
            started = time.perf_counter()
            next(steps)
            seconds.append(time.perf_counter() - started)
    whole, part = (statistics.median(seconds) for seconds in taken)
    row(f"--freeze, {architecture}, 224 px", images_a_second=BATCH / part, times_as_fast=whole / part)
    assert part < 0.6 * whole


def _steps(architecture, batch, freeze):
    encoder = create_encoder(architecture)
    objective = JointClassifier(encoder, JointHeads(ARCHITECTURES[architecture].channels, HEADS))
    if freeze:
        frozen(encoder, objective)
    fabric = make_fabric("cpu", "fp32")
    optimizer = torch.optim.SGD(parameter_groups(objective, 0.0), lr=1e-3)
    batches = itertools.repeat([batch])
    return training_steps(fabric, fabric.setup_module(objective), optimizer, batches, lambda _: 1e-3, seed=0)
