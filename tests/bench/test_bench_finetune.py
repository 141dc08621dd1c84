"""What a frozen encoder saves of a training step, and what BatchNorm's statistics cost before a validation.

The loader's share stands in test_bench_segmentation.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from swcl_cli.models.asking import channels_of
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.heads import JointHeads
from swcl_cli.tasks.classification import JointClassifier
from swcl_cli.tasks.fitting import freeze_encoder
from swcl_cli.training.loop import Step
from swcl_cli.training.precise_bn import precise_statistics
from tests.bench.conftest import Row, in_turn, sgd_steps

pytestmark = pytest.mark.bench
BATCH, HEADS = 8, {"dr_grade": 5, "dme_grade": 3}


@pytest.mark.parametrize("architecture", ["resnet18", "resnetv2_50x1_bit"])
def test_step_of_a_frozen_encoder(architecture: str, row: Row) -> None:
    """Batch 8 at 224 px."""
    labels = {name: torch.arange(BATCH) % count for name, count in HEADS.items()}
    batch = {"image": torch.randn(BATCH, 3, 224, 224), "labels": labels}
    trained, heads_alone = (_steps(architecture, batch, freeze) for freeze in (False, True))
    whole, part = in_turn(trained, heads_alone, steps=1)
    row(f"--freeze, {architecture}, 224 px", images_a_second=BATCH / part, times_as_fast=whole / part)
    assert part < 0.6 * whole


def test_step_for_the_statistics_of_a_validation(row: Row) -> None:
    """Batch 8 at 224 px. At most as many such steps as there were training steps since the last validation."""
    labels = {name: torch.arange(BATCH) % count for name, count in HEADS.items()}
    batch = {"image": torch.randn(BATCH, 3, 224, 224), "labels": labels}
    encoder = create_encoder("resnet18")
    objective = JointClassifier(encoder, JointHeads(channels_of(encoder), HEADS))

    def estimates() -> Iterator[None]:
        while True:
            with precise_statistics(objective, [batch]):
                yield

    whole, part = in_turn(_steps("resnet18", batch, freeze=False), estimates(), steps=1)
    row("--precise-bn, resnet18, 224 px", images_a_second=BATCH / part, share_of_a_step=part / whole)
    assert part < 0.5 * whole


def _steps(architecture: str, batch: dict[str, Any], freeze: bool) -> Iterator[Step]:
    encoder = create_encoder(architecture)
    objective = JointClassifier(encoder, JointHeads(channels_of(encoder), HEADS))
    if freeze:
        freeze_encoder(encoder, objective)
    return sgd_steps(objective, itertools.repeat([batch]))
