"""Find the group of each patient: patients who share a photograph, pixel by pixel, count as one (FACTS E13)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.reporting.evidence.contents import Contents


def groups_of_patients(contents: Contents, dataset: pd.Series, patient: pd.Series) -> NDArray[np.str_]:
    """Return the group of each row's patient, (N,), by the manifests; where one is not here, the patient itself."""
    groups = {
        (name, str(row.patient_id)): str(row.group_id)
        for name in dataset.unique()
        if name in contents.datasets
        for row in contents.datasets[name].images.drop_duplicates("patient_id").itertuples()
    }
    pairs = zip(dataset.astype(str), patient.astype(str), strict=True)
    return np.array([f"{pair[0]}/{groups.get(pair, pair[1])}" for pair in pairs], dtype=str)
