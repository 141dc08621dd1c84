"""A workspace of phantom eyes with their swap.parquet, for measurements of pretraining."""

from __future__ import annotations

from pathlib import Path

from swcl_cli.settings import MakeSwapSettings, PrepSettings, TrainLabelerSettings
from swcl_cli.steps import make_swap, prep, train_labeler
from swcl_cli.workspace import Workspace


def make_phantom_swap(root: Path, patients: int, size: int) -> Workspace:
    """Draws the eyes, trains a labeler for one epoch, and scores patches with it."""
    prep.run(PrepSettings(workspace=root, dataset="phantom", patients=patients, drawn_size=size, size=size))
    train_labeler.run(
        TrainLabelerSettings(
            workspace=root, architecture="resnet18", crop=64, views=2, accumulate=1, epochs=1, milestones=[]
        )
    )
    make_swap.run(MakeSwapSettings(workspace=root))
    return Workspace(root)
