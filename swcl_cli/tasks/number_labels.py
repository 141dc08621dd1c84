"""Read labels that are numbers, bring them to a scale on which they are learnt, and check that they can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.errors import SwclError
from swcl_cli.settings import prep_command
from swcl_cli.tasks.saved import Study

Scales: TypeAlias = Mapping[str, Mapping[str, float]]  # by head, of training: `mean`, `sd`, `least`, `most`
NUMBERS = "numbers"  # the scales, in the model file


def numbers_of(rows: pd.DataFrame, head: str) -> NDArray[np.float64]:
    """Return the numbers (N,) of a column of the manifest, NaN where one is not known."""
    numbers: NDArray[np.float64] = rows[head].to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def scales_of(study: Study) -> dict[str, dict[str, float]]:
    """Return mean, standard deviation, least and most of each number, over the training photographs that have it."""
    scales = {}
    for head in study.task.numbers:
        numbers = numbers_of(study.rows["train"], head)
        spread = {"mean": float(np.nanmean(numbers)), "sd": float(np.nanstd(numbers))}
        scales[head] = {**spread, "least": float(np.nanmin(numbers)), "most": float(np.nanmax(numbers))}
    return scales


def standardised(numbers: Any, scale: Mapping[str, float]) -> Any:
    """Bring numbers in their own unit, an array or a tensor, to a mean of 0 and a deviation of 1 in training."""
    return (numbers - scale["mean"]) / scale["sd"]


def in_own_unit(answers: Any, scale: Mapping[str, float]) -> Any:
    """Bring answers of a network, an array or a tensor, back from the scale of `standardised`.

    They are held to the range of the training numbers, where the scale tells it (FACTS E12c).
    """
    numbers = answers * scale["sd"] + scale["mean"]
    return numbers.clip(scale["least"], scale["most"]) if "least" in scale else numbers


def require_numbers(study: Study, head: str) -> None:
    """Raise SwclError where a split has no such number, or those that teach, or choose by how they vary, are equal."""
    data = study.task.dataset
    for split, rows in study.rows.items():
        numbers = numbers_of(rows, head)
        different = np.unique(numbers[~np.isnan(numbers)])
        if not len(different):
            raise SwclError(
                f"No {split} photograph of {data} has a {head}: say which do, by {prep_command(data)} --split-file, or "
                "leave it out by --heads."
            )
        if len(different) == 1 and (split == "train" or (split == "val" and study.task.measure == "mean")):
            raise SwclError(
                f"All {split} photographs of {data} have {head} = {different[0]:g}, where it is known: two different "
                f"numbers are needed. See {prep_command(data)} --split-file, or a larger --fraction."
            )
