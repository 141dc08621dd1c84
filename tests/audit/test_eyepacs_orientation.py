"""Photographs of EyePACS upside down, against what two passes by looking at them marked (eyepacs_orientation.csv)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swcl_cli.audit.landmarks import look
from swcl_cli.audit.lying import judged
from swcl_cli.preparation.photograph import prepare_photograph

PHOTOGRAPHS = Path(__file__).parents[3] / "shared/data/EyePACS/train"
MARKS = Path(__file__).with_name("eyepacs_orientation.csv")
SIZE = 192  # pixels


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="real photographs are not here (../shared/data)")
def test_inverted_photographs_of_eyepacs() -> None:
    """0.97 are as marked. Those that the two passes mark differently count as wrong."""
    marks = pd.read_csv(MARKS)
    marks[["patient", "eye"]] = marks["image_id"].str.split("_", expand=True)
    files = [next(PHOTOGRAPHS.glob(f"{name}.*")) for name in marks["image_id"]]
    poses = np.stack([look(np.asarray(prepare_photograph(path.read_bytes(), SIZE)[0])).poses for path in files])
    lying = judged(poses, marks["patient"].tolist(), marks["eye"].tolist())
    told = np.where(lying.inverted > 0.5, "inverted", "upright")
    right = (marks["first"] == marks["second"]) & (told == marks["first"])
    assert right.mean() >= 0.97, marks.loc[~right, "image_id"].tolist()
