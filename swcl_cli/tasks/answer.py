"""What a model says of one photograph, and what of it is written to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Answer:
    """Hold what a model says of one photograph, which is `width` x `height` pixels, upright.

    Of classification: `classes`, the most probable one of each head, and `probabilities`, (K,) of its K classes. Of
    segmentation: `masks`, (H, W) of each structure, their `probabilities`, (H, W), and in `numbers` the share of the
    pixels that each covers. What a kind of task does not have is empty.
    """

    width: int
    height: int
    classes: Mapping[str, int] = field(default_factory=dict)
    probabilities: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """Hold what `predict` writes of a photograph: cells of its row by column, and masks by their file's name."""

    cells: dict[str, Any]
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
