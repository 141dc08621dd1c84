"""What a kind of task gives to the `finetune` step: one network to train, and how to judge it on a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import Dataset

from swcl_cli.data.loaders import Plan


@dataclass(frozen=True)
class Judgement:
    """Measures of a split (shares, not percent), 95 % intervals of some of them, and a row of predictions an image."""

    measures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)


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
