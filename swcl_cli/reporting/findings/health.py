"""Find trainings that taught nothing, whatever their scores: collapsed embeddings, divergence, a labeler at chance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from swcl_cli.evaluation.embeddings import is_collapsed, teacher_fault
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.percentages import with_interval
from swcl_cli.workspace import PRETRAIN

CHANCE = 0.5
MUST_BE_FINITE = ("loss", "gradient_norm", "knn_auc")


def ailments(contents: Contents) -> list[tuple[str, tuple[str, ...]]]:
    """List a sentence and its details each, the gravest first."""
    ailments = [_collapsed(contents), _diverged(contents), _at_chance(contents)]
    return [(text, tuple(details)) for text, details in ailments if details]


def _collapsed(contents: Contents) -> tuple[str, list[str]]:
    """Judge by the bounds that `pretrain` warns at, at the last step that is logged."""
    details = []
    for name, log in _pretrainings(contents):
        spread, entropy = _last(log, "embedding_spread"), _last(log, "teacher_entropy")
        if is_collapsed(spread):
            details.append(f"{name}: spread {spread:.2f}, where 1 is uniform on the sphere")
        if fault := teacher_fault(entropy):
            details.append(f"{name}: the teacher {fault} (entropy {entropy:.4f} of 1)")
    return "Collapsed embeddings: these encoders tell almost nothing apart. Lower --learning-rate.", details


def _diverged(contents: Contents) -> tuple[str, list[str]]:
    details = []
    for name, log in _pretrainings(contents):
        lost = [column for column in MUST_BE_FINITE if column in log and not _finite(log, column)]
        details += [f"{name}: {', '.join(lost)} not finite"] if lost else []
    for (task, name), points in contents.grids.groupby(["task", "name"]):
        lost = points[points["value"].isna()]
        if len(lost):
            rates = ", ".join(f"{rate:g}" for rate in sorted(set(lost["learning_rate"]), reverse=True))
            words = f"{len(lost)} of {counted(len(points), 'points')} of its grid, at learning rate {rates}"
            details.append(f"{title(str(task))}, {name}: {words}; none was chosen")
    return "Training that diverged: its numbers are not finite. Lower --learning-rate.", details


def _at_chance(contents: Contents) -> tuple[str, list[str]]:
    measured = contents.labeler_validation
    auc, low, high = (float(measured.get(key, np.nan)) for key in ("auc", "auc_low", "auc_high"))
    details = [f"AUC {with_interval(auc, low, high)} on its validation photographs"] if low <= CHANCE else []
    return (
        "The labeler is not told apart from chance (50): then lesion scores, patches and what is pretrained on them "
        "hold chance as well.",
        details,
    )


def _pretrainings(contents: Contents) -> list[tuple[str, pd.DataFrame]]:
    return [(f"{PRETRAIN}-{name}", log) for name, log in contents.pretraining_logs().items()]


def _last(log: pd.DataFrame, column: str) -> float:
    """Return NaN where it was never logged."""
    values = log[column].dropna() if column in log else log[:0]
    return float(values.iloc[-1]) if len(values) else float("nan")


def _finite(log: pd.DataFrame, column: str) -> bool:
    """Judge a step's numbers by the last record, an epoch's by the last record of an epoch."""
    is_epoch = log["epoch"].notna() if "epoch" in log else pd.Series(False, log.index)
    rows = log[is_epoch if column.startswith("knn") else ~is_epoch]
    return not len(rows) or bool(np.isfinite(float(rows[column].iloc[-1])))
