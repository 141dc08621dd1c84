"""An exported network in onnxruntime beside torch's forward pass, and embeddings beside the bare one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from swcl_cli.data.augment import center_view
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.exporting.programs import write_onnx
from swcl_cli.exporting.writing import graph_of
from swcl_cli.predicting.embedding import load_embedder
from tests import prepared
from tests.bench.conftest import Row, in_turn

pytestmark = pytest.mark.bench
BATCH, SIDE, PHOTOGRAPHS = 8, 224, 640


def endless(act: Callable[[], object]) -> Iterator[object]:
    return (act() for _ in itertools.count())


@pytest.mark.parametrize("architecture", ["resnet18", "tf_efficientnet_lite0"])
def test_onnxruntime_beside_torch(architecture: str, tmp_path: Path, row: Row) -> None:
    """One thread each, batch 8 at 224 px, uint8 in; torch in the memory format that it is fastest in."""
    predictor, _ = load_embedder("random", architecture, tmp_path, "cpu", SIDE)
    graph = graph_of(predictor)
    run = write_onnx(graph, tmp_path / "model.onnx", {})
    images = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE, 3)).astype(np.uint8)
    graph.network.to(memory_format=torch.channels_last)
    by_torch, by_onnx = in_turn(endless(lambda: graph.run(images)), endless(lambda: run(images)), rounds=5, steps=2)
    row(f"ONNX, {architecture}, {SIDE} px", images_a_second=BATCH / by_onnx, times_as_fast=by_torch / by_onnx)
    assert by_onnx <= by_torch


def test_embeddings_beside_the_bare_forward_pass(tmp_path: Path, row: Row) -> None:
    """Photographs of 512 px, read by a process beside whose start is counted, on ResNet-50 at 224 px."""
    predictor, initial = load_embedder("random", "resnet50", tmp_path, "cpu", SIDE)
    paths = []
    for number in range(PHOTOGRAPHS):
        paths.append(tmp_path / f"{number}.jpg")
        Image.fromarray(prepared.photograph(number, 512, 512)).save(paths[-1])
    view = center_view(prepared.photograph(0, 512, 512), 256, SIDE, MEAN, STD)
    batch = torch.from_numpy(np.stack([view] * predictor.kind.batch)).to(memory_format=torch.channels_last)
    encoder: Any = initial.encoder

    @torch.inference_mode()
    def bare() -> None:
        encoder(batch)

    alone, whole = in_turn(endless(bare), endless(lambda: list(predictor.embed(paths, workers=1))), rounds=1, steps=1)
    bare_pass = alone * PHOTOGRAPHS / len(batch)
    row("embeddings, resnet50, 224 px", photographs_a_second=PHOTOGRAPHS / whole, of_the_bare_pass=bare_pass / whole)
