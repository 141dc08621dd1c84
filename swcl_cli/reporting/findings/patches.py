"""Tell what is known of the patches of retinal-SWAP: how many are abnormal, and how their scores were judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.names import title
from swcl_cli.swap.weak_labels import is_abnormal

SWAP = "retinal-SWAP"
THRESHOLDS = (0.3, 0.4, 0.5)  # those of the paper's ablation


def abnormal_counts(score: pd.Series, thresholds: Sequence[float]) -> list[int]:
    """Count the scores that are abnormal at each threshold, compared in fp32 as they are stored."""
    return [int(is_abnormal(score.to_numpy(dtype=np.float32), threshold).sum()) for threshold in thresholds]


@dataclass(frozen=True)
class Judgement:
    """Hold how well lesion scores find the lesions of masks, as `make-swap` measured it.

    name: of the patches, as tables call them; threshold: the chosen one; apart: nothing is pretrained on them.
    """

    name: str
    values: Mapping[str, Any]
    threshold: float
    apart: bool = False


def judgements(contents: Contents) -> list[Judgement]:
    """List the judgement of retinal-SWAP, then those of patches that serve this alone; empty without masks."""
    judged = []
    if contents.swap and (values := contents.swap.provenance.get("judgement")):
        judged.append(Judgement(SWAP, values, float(contents.swap.settings["threshold"])))
    for name, each in contents.judged.items():
        if values := each.artefact.provenance.get("judgement"):
            judged.append(Judgement(title(name), values, float(each.artefact.settings["threshold"]), apart=True))
    return judged
