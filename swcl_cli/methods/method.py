"""What every pretraining method gives to the `pretrain` step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from swcl_cli.data.colour import Colour
from swcl_cli.data.loaders import Plan


@dataclass(frozen=True)
class Method:
    """objective(batch) -> (loss, metrics) trains `encoder`, which is a part of it; only the encoder is kept.

    `plan` names the items of each step, `inputs` the fingerprints of what was read, image_size the side of a view.
    """

    objective: nn.Module
    encoder: nn.Module
    dataset: Dataset[Any]
    collate: Callable[[list[Any]], Any] | None
    plan: Plan
    steps_per_epoch: int
    views_a_step: int
    inputs: dict[str, str]
    image_size: int
    mean: Colour
    std: Colour
    summary: str
