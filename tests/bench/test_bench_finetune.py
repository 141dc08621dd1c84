"""What a frozen encoder saves of a training step, what a probe costs beside its parts, and BatchNorm's statistics.

The loader's share stands in test_bench_segmentation.py.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from swcl_cli import chance
from swcl_cli.data.augment import center_view
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.images import read_image
from swcl_cli.models.asking import channels_of
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.heads import JointHeads
from swcl_cli.settings import FinetuneSettings
from swcl_cli.steps import finetune
from swcl_cli.tasks.classifier import JointClassifier
from swcl_cli.tasks.fitting import freeze_encoder
from swcl_cli.tasks.probing import MOST_ITERATIONS, STRENGTHS
from swcl_cli.training.loop import Step
from swcl_cli.training.precise_bn import precise_statistics
from tests import prepared
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


def test_probe_beside_its_parts(tmp_path: Path, row: Row) -> None:
    """A cohort of IDRiD's size, EfficientNet-Lite0, 224 px: CPU seconds of the whole step, imports aside.

    Its parts: decoding and the test view, the bare forward pass in batches of the same size, scikit-learn's fits. The
    second probe of the encoder finds its features.
    """
    table = prepared.write(tmp_path, "idrid", list(_cohort()), size=350)
    settings = FinetuneSettings(
        workspace=tmp_path, task="idrid", architecture="tf_efficientnet_lite0", probe=True, seeds=1, workers=0,
        accelerator="cpu",
    )  # fmt: skip
    finetune.run(settings.model_copy(update={"name": "first", "crop": 32}))  # imports
    seconds = _cpu_seconds(partial(finetune.run, settings))
    parts = _cpu_seconds(partial(_probe_by_hand, tmp_path, table))
    other = settings.model_copy(update={"fraction": 0.5})
    again = _cpu_seconds(partial(finetune.run, other))
    row("--probe, 516 photographs", seconds=seconds, times_its_parts=seconds / parts, seconds_of_the_next=again)
    assert seconds <= 1.3 * parts


def _cohort() -> Iterator[dict[str, Any]]:
    splits = ("train", "train", "train", "val", "test")
    for item in range(516):
        rng, image = chance.generator(0, "cohort", item=item), prepared.photograph(item, 420, 350)
        yield {
            "split": splits[item % 5], "patient_id": f"{item}", "image": image,
            "dr_grade": int(rng.integers(0, 5)), "dme_grade": int(rng.integers(0, 3)),
        }  # fmt: skip


def _probe_by_hand(root: Path, table: pd.DataFrame) -> None:
    encoder = create_encoder("tf_efficientnet_lite0").eval().to(memory_format=torch.channels_last)
    features = []
    with torch.inference_mode():
        for start in range(0, len(table), 32):
            paths = table["path"][start : start + 32]
            views = [center_view(read_image(root / path), 256, 224, MEAN, STD) for path in paths]
            features.append(encoder(torch.from_numpy(np.stack(views))))
    whole, train = torch.cat(features).double().numpy(), (table["split"] == "train").to_numpy()
    for strength in STRENGTHS:
        for head in HEADS:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=MOST_ITERATIONS))
            model.fit(whole[train], table[head].to_numpy(dtype=np.int64)[train]).predict_proba(whole[~train])


def _cpu_seconds(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def _steps(architecture: str, batch: dict[str, Any], freeze: bool) -> Iterator[Step]:
    encoder = create_encoder(architecture)
    objective = JointClassifier(encoder, JointHeads(channels_of(encoder), HEADS))
    if freeze:
        freeze_encoder(encoder, objective)
    return sgd_steps(objective, itertools.repeat([batch]))
