"""A prepared photograph that was replaced by another of equal size: each step that reads it says so, and stops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from swcl_cli.data import manifest
from swcl_cli.errors import SwclError
from swcl_cli.settings import MakeSwapSettings, TrainLabelerSettings
from swcl_cli.steps import finetune, make_swap, train_labeler
from swcl_cli.workspace import Workspace
from tests import planted, prepared


def train(root: Path) -> Callable[[], object]:
    prepared.labelled_eyes(root, "odir", 8)
    options = TrainLabelerSettings(
        workspace=root,
        labelled=["odir"],
        unlabelled=[],
        workers=1,
        architecture="resnet18",
        crop=32,
        views=2,
        batch_labelled=8,
        epochs=1,
        milestones=[],
    )
    return lambda: train_labeler.run(options)


def score(root: Path) -> Callable[[], object]:
    prepared.labelled_eyes(root, "odir", 4)
    prepared.labeler(root, ["odir"], [])
    return lambda: make_swap.run(MakeSwapSettings(workspace=root, workers=1, accelerator="cpu"))


def classify(root: Path) -> Callable[[], object]:
    planted.write_idrid(root, 20)
    return lambda: finetune.run(planted.options(root, planted.IDRID, epochs=1))


def segment(root: Path) -> Callable[[], object]:
    planted.write_drive(root, 10)
    return lambda: finetune.run(planted.options(root, planted.DRIVE, epochs=1))


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(
    ("dataset", "step"), [("odir", train), ("odir", score), ("idrid", classify), ("drive", segment)]
)
def test_is_named(tmp_path: Path, dataset: str, step: Callable[[Path], Callable[[], object]], split: str) -> None:
    run = step(tmp_path)
    table = manifest.read(Workspace(tmp_path).manifest(dataset))
    path = tmp_path / table[table["split"] == split].iloc[-1]["path"]
    with Image.open(path) as image:
        other = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    other.save(path)
    with pytest.raises(SwclError, match=f"^.*/{path.name} is not the image that was prepared.*`swcl prep`.$"):
        run()
