"""Tell what is known of the patches of retinal-SWAP: how many are abnormal, and how their scores were judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.swap.weak_labels import is_abnormal

THRESHOLDS = (0.3, 0.4, 0.5)  # those of the paper's ablation


def abnormal_counts(score: pd.Series, thresholds: Sequence[float]) -> list[int]:
    """Count the scores that are abnormal at each threshold, compared in fp32 as they are stored."""
    return [int(is_abnormal(score.to_numpy(dtype=np.float32), threshold).sum()) for threshold in thresholds]


def judgement(contents: Contents) -> dict[str, Any]:
    """Return how well the scores find lesions, as `make-swap` measured it on lesion masks; empty without masks."""
    return (contents.swap.provenance.get("judgement") if contents.swap else None) or {}
