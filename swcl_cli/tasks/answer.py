"""Hold a model's predictions for a photograph, and the part of them that is written to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Answer:
    """Hold a model's predictions for a photograph of `width` x `height` pixels, upright.

    Classification gives `classes`, the most probable class of each head, by its name where it has one, and
    `probabilities`, (K,) of its K classes; of heads that are numbers `numbers`.
    Segmentation gives `masks`, (H, W) of each structure, their `probabilities`, (H, W), and in `numbers` the share of
    the pixels that each covers. Fields that a kind of task does not give are empty. `notes`: sentences on how the
    file was read, where that says more than that it was.
    """

    width: int
    height: int
    classes: Mapping[str, int | str] = field(default_factory=dict)
    probabilities: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """Hold the output of `predict` for a photograph: cells of its row by column, and images by file name."""

    cells: dict[str, Any]
    images: Mapping[str, Image.Image] = field(default_factory=dict)
