"""Hold the labeler's probabilities of its validation photographs, with intervals over their patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swcl_cli.evaluation.metrics import bootstrap_interval
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.probabilities import Probabilities


@dataclass(frozen=True)
class Validation:
    """Hold the probabilities, the patient of each photograph, (N,), and the key of the bootstrap over patients."""

    run: Probabilities
    patient: NDArray[np.str_]
    seed: int

    def interval(
        self, measure: Callable[[NDArray[np.int64]], float], among: NDArray[np.bool_] | slice = slice(None)
    ) -> tuple[float, float]:
        """Return the 95 % interval of a measure of rows, which count the photographs in `among`."""
        return bootstrap_interval(measure, self.patient[among], self.seed)


def labeler_validation(contents: Contents) -> Validation | None:
    """Return the validation; None where it is not stored, or all photographs are of one kind."""
    table = contents.labeler_scores
    if table is None or contents.labeler is None or table["truth"].nunique() < 2:
        return None
    patient = (table["dataset"] + "/" + table["patient_id"]).to_numpy(dtype=str)
    run = Probabilities(table["truth"].to_numpy(dtype=bool), table["score"].to_numpy(dtype=np.float64))
    return Validation(run, patient, int(contents.labeler.settings.get("seed", 0)))
