"""Tables of retinal-SWAP: how many patches count as abnormal, and how well their scores find lesions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.tables.table import Cell, Table, Value, count, percent, with_interval
from swcl_cli.swap.weak_labels import is_abnormal

THRESHOLDS = (0.3, 0.4, 0.5)  # those of the paper's ablation


def abnormal_counts(score: pd.Series, thresholds: Sequence[float]) -> list[int]:
    """How many scores are abnormal at each threshold, compared in fp32 as they are stored."""
    return [int(is_abnormal(score.to_numpy(dtype=np.float32), threshold).sum()) for threshold in thresholds]


def swap_table(contents: Contents) -> Table | None:
    """Patches of each data set, number and share of abnormal ones at the paper's thresholds and at the chosen one."""
    if contents.swap is None or contents.patches is None:
        return None
    chosen = float(contents.swap.settings["threshold"])
    thresholds = sorted({*THRESHOLDS, chosen})
    groups = [(title(str(name)), part) for name, part in contents.patches.groupby("dataset", sort=True)]
    rows, records = [], []
    for name, part in [*groups, ("all", contents.patches)]:
        photographs, patches, abnormal = part["path"].nunique(), len(part), abnormal_counts(part["score"], thresholds)
        shares = [number / patches for number in abnormal]
        cells = [Cell(f"{number:,} ({percent(share)} %)") for number, share in zip(abnormal, shares, strict=True)]
        rows.append((Cell(name), count(photographs), count(patches), *cells))
        records.append((name, photographs, patches, *abnormal, *shares))
    header: tuple[Value, ...] = (
        "dataset", "photographs", "patches",
        *(f"{kind}_at_{threshold:g}" for kind in ("abnormal", "share") for threshold in thresholds),
    )  # fmt: skip
    return Table(
        name="retinal-swap",
        title="Patches and thresholds",
        sentence="Patches cut from the photographs, and how many of them count as abnormal at each threshold t.",
        columns=(
            "data set",
            "photographs",
            "patches",
            *(f"t = {t:g}{' (chosen)' if t == chosen else ''}" for t in thresholds),
        ),
        rows=tuple(rows),
        notes=("The paper has 493,470 patches; 142,957 (29.0 %) of them are abnormal at t = 0.4.",),
        records=(header, *records),
    )


def judgement_table(contents: Contents) -> Table | None:
    """The lesion scores against lesion masks, where there are masks."""
    judgement = _judgement(contents)
    if not judgement:
        return None
    return Table(
        name="patch-scores",
        title="Lesion scores against lesion masks",
        sentence="How well the lesion score finds the patches that really hold a lesion: AUC in percent, 50 is chance.",
        columns=("among", "AUC, 95 % interval"),
        rows=(
            _judged("all patches", judgement.get("auc"), judgement.get("auc_interval")),
            _judged(
                "patches of photographs with lesions",
                judgement.get("within_abnormal"),
                judgement.get("within_abnormal_interval"),
            ),
            _judged("of these, in the same place", judgement.get("in_place"), judgement.get("in_place_interval")),
        ),
        notes=(
            "Within photographs that hold lesions, knowing which photograph is abnormal earns nothing: only finding "
            "the place does.",
        ),
    )


def judged_thresholds_table(contents: Contents) -> Table | None:
    """The chosen threshold beside the one that finds lesions best."""
    judgement = _judgement(contents)
    if contents.swap is None or not np.isfinite(judgement.get("f1", np.nan)):
        return None
    chosen, best = float(contents.swap.settings["threshold"]), float(judgement["threshold"])
    return Table(
        name="patch-thresholds",
        title="The threshold, judged",
        sentence="How well the label `abnormal` finds the patches that really hold a lesion, at the threshold that was "
        "chosen and at the best one: F1 in percent.",
        columns=("threshold", "t", "F1"),
        rows=(
            (Cell("chosen"), Cell(f"{chosen:g}", chosen), _share(judgement.get("f1_chosen"))),
            (Cell("best by F1"), Cell(f"{best:.2f}", best), _share(judgement["f1"])),
        ),
    )


def judgement_parts_table(contents: Contents) -> Table | None:
    """The same by kind of lesion and by position of the patch."""
    judgement = _judgement(contents)
    rows = [
        *(_judged(f"lesion: {kind}", value) for kind, value in _sorted(judgement.get("by_kind"))),
        *(_judged(f"position: {position}", value) for position, value in _sorted(judgement.get("by_position"))),
    ]
    if not rows:
        return None
    return Table(
        name="patch-scores-parts",
        title="Lesion scores, by kind of lesion and by position",
        sentence="The same for patches with one kind of lesion against patches without any, and for each position.",
        columns=("among", "AUC"),
        rows=tuple(rows),
    )


def _judgement(contents: Contents) -> dict[str, Any]:
    return (contents.swap.provenance.get("judgement") if contents.swap else None) or {}


def _sorted(values: dict[str, float] | None) -> list[tuple[str, float]]:
    return sorted((values or {}).items())


def _share(value: float | None) -> Cell:
    return Cell("-", "") if value is None or not np.isfinite(value) else Cell(percent(value), value)


def _judged(among: str, value: float | None, interval: Sequence[float] | None = None) -> tuple[Cell, ...]:
    if value is None or not np.isfinite(value):
        return Cell(among), Cell("-", "")
    low, high = interval or (float("nan"), float("nan"))
    return Cell(among), Cell(with_interval(value, low, high), value)
