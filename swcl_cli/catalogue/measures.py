"""Describe measures: which of two values is better, and in what they are written. To add one: a row in MEASURES."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Quality:
    """Describe a measure.

    title: its name in tables. unit: `percent` of a share, the label's `own`, or none (`plain`). lower: whether less is
    better. least, most: what its values can be; of shares also kappas and errors of a ratio. meaning: what it is, for
    tables whose readers may not know it.
    """

    name: str
    title: str
    unit: Literal["percent", "own", "plain"] = "percent"
    lower: bool = False
    least: float = -1.0
    most: float = 1000.0
    meaning: str = ""

    @property
    def is_share(self) -> bool:
        return self.unit == "percent"

    def merit(self, value: float) -> float:
        """Return a number that is the larger the better a value is, and least of all for NaN."""
        return -math.inf if math.isnan(value) else -value if self.lower else value


MEASURES = {  # all others are shares of which more is better, and are called by their names
    quality.name: quality
    for quality in (
        Quality(
            "joint_accuracy", "joint accuracy", meaning="the share of photographs of which all labels are told rightly"
        ),
        Quality("f1", "F1", meaning="twice what mask and answer have in common, over the sum of both (Dice)"),
        Quality(
            "auc",
            "AUC",
            meaning="how often, of a photograph with the condition and one without, the first gets the higher "
            "probability; 50 is chance",
        ),
        Quality("kappa", "kappa", meaning="the agreement of labels and answers beyond that of chance"),
        Quality(  # of several labels, of which some may be numbers, with their R2
            "mean", "mean", least=-math.inf, meaning="the mean over the labels of a measure of each"
        ),
        Quality("error", "error", lower=True),  # of a ratio of diameters, or of calibration
        Quality("mae", "mean absolute error", "own", lower=True, least=0.0, most=math.inf),
        Quality("r2", "R2", "plain", least=-math.inf, most=1.0),
        Quality("pearson", "Pearson correlation", "plain", most=1.0),
    )
}


def quality_of(measure: str) -> Quality:
    """Describe a measure by its name, before which that of a head may stand: `age_mae` is a `mae`."""
    return MEASURES.get(measure) or MEASURES.get(measure.rpartition("_")[2]) or Quality(measure, measure)
