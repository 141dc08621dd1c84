"""Stored predictions of single runs, as the report reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from swcl_cli.reporting.evidence.columns import LIKELIHOOD, POSITIVE
from swcl_cli.reporting.evidence.contents import Contents


def classified(
    task: str, name: str, run: str, truth: Sequence[int], positive: Sequence[float], *, head: str = "glaucoma",
    split: str = "test",
) -> pd.DataFrame:  # fmt: skip
    """A photograph each, of a patient of its own. positive: the probability of any class above 0."""
    number = [str(place) for place in range(len(truth))]
    above = np.asarray(positive, np.float64)
    return pd.DataFrame(
        {
            "task": task, "name": name, "run": run, "split": split, "image_id": number, "patient_id": number,
            "path": [f"data/{task}/images/{place}.png" for place in number], "head": head, "truth": truth,
            "prediction": (above > 0.5).astype(np.int64), POSITIVE: above,
            LIKELIHOOD: np.where(np.asarray(truth) > 0, above, 1 - above).astype(np.float32),
        }
    )  # fmt: skip


def results(task: str, name: str, run: str, measure: str, value: float, split: str = "test") -> pd.DataFrame:
    """One measured value, with an interval of a tenth to each side."""
    row = {
        "task": task, "name": name, "run": run, "seed": int(run[-1]), "fold": None, "split": split, "measure": measure,
        "value": value, "primary": True, "low": value - 0.1, "high": value + 0.1,
    }  # fmt: skip
    return pd.DataFrame([row])


def contents_of(root: Path, predictions: Sequence[pd.DataFrame], measured: Sequence[pd.DataFrame] = ()) -> Contents:
    contents = Contents(root, phantom=False)
    if predictions:
        contents.classified = pd.concat(predictions, ignore_index=True)
    if measured:
        contents.results = pd.concat(measured, ignore_index=True)
    return contents
