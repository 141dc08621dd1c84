"""Choose a learning rate and weight decay among points that were tried, and show them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from swcl_cli import console
from swcl_cli.errors import SwclError


@dataclass(frozen=True)
class Rates:
    """Hold a learning rate and a weight decay, and name them as a point of a grid."""

    learning_rate: float
    weight_decay: float

    @property
    def name(self) -> str:
        return f"lr{self.learning_rate:g}-wd{self.weight_decay:g}"


def best(points: Sequence[Rates], values: Sequence[float]) -> int:
    """Return the index of the largest value; of equal values the first, since a grid begins with the published rates.

    Raises SwclError where all are NaN.
    """
    numbers = [-math.inf if math.isnan(value) else value for value in values]
    if max(numbers) == -math.inf:
        lower = min(rates.learning_rate for rates in points) / 10
        raise SwclError(f"Training diverged at every point of the grid; try one with --learning-rate {lower:g}.")
    return numbers.index(max(numbers))


def show(title: str, measure: str, points: Sequence[Rates], measured: Sequence[str], chosen: int) -> None:
    """Show a table of the points with what was measured of each, in words, and which was chosen."""
    rows = [
        (f"{rates.learning_rate:g}", f"{rates.weight_decay:g}", words, "chosen" if number == chosen else "")
        for number, (rates, words) in enumerate(zip(points, measured, strict=True))
    ]
    console.table(f"{title}: grid", ("learning rate", "weight decay", measure, ""), rows)
