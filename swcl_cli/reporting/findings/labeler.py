"""Hold the labeler's probabilities of its validation photographs, with intervals over their patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swcl_cli.evaluation.intervals import interval
from swcl_cli.evaluation.resampling import Measure
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.groups import groups_of_patients
from swcl_cli.reporting.findings.probabilities import Probabilities


@dataclass(frozen=True)
class Validation:
    """Hold the probabilities, and the group of patients of each photograph, (N,)."""

    run: Probabilities
    patient: NDArray[np.str_]

    def interval(self, measure: Measure) -> tuple[float, float]:
        """Return the 95 % interval of a measure over patients."""
        return interval(measure, self.patient)


def labeler_validation(contents: Contents) -> Validation | None:
    """Return the validation; None where it is not stored, or all photographs are of one kind."""
    table = contents.labeler_scores
    if table is None or contents.labeler is None or table["truth"].nunique() < 2:
        return None
    group = groups_of_patients(contents, table["dataset"], table["patient_id"])
    run = Probabilities(table["truth"].to_numpy(dtype=bool), table["score"].to_numpy(dtype=np.float64))
    return Validation(run, group)
