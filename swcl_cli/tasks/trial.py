"""What a kind of task gives to the `finetune` step: one network to train, and how to judge it on a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset

from swcl_cli.data.loaders import Plan
from swcl_cli.data.manifest import SPLITS
from swcl_cli.errors import Diverged


@dataclass(frozen=True)
class Judgement:
    """Measures of a split (shares, not percent), 95 % intervals of them, a row of predictions an image and head, and
    for each measure that is not a number the reason.
    """

    measures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """objective(batch) -> (loss, metrics) trains `network`, which is what is kept of it.

    judge(fabric, split, folder) judges its present weights. Where `folder` is given it writes prediction maps there,
    and fills in intervals and predictions.
    """

    objective: nn.Module
    network: nn.Module
    dataset: Dataset[Any]
    plan: Plan
    steps_per_epoch: int
    images: dict[str, int]
    judge: Callable[[Fabric, str, Path | None], Judgement]


def require_finite(answers: NDArray[np.float32]) -> None:
    """Raises Diverged where a network's answers are no numbers."""
    if not np.isfinite(answers).all():
        raise Diverged("The network's answers are not finite: lower --learning-rate, or use --precision fp32.")


def splits_of(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of a manifest by its own splits."""
    return {split: table[table["split"] == split] for split in SPLITS}
