"""What a table of the report is, and the three small ones: data sets (Table I), labeler, retinal-SWAP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.data.manifest import SPLITS
from swcl_cli.data.weak_labels import is_abnormal
from swcl_cli.datasets import DATASETS
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.names import title

THRESHOLDS = (0.3, 0.4, 0.5)  # those of the paper's ablation
Value = str | float | int | None


@dataclass(frozen=True)
class Cell:
    """A cell as it reads, and the value behind it for CSV where that says more. Marks as in the paper's Table II."""

    text: str = ""
    value: Value = None
    best: bool = False
    best_in_domain: bool = False


@dataclass(frozen=True)
class Table:
    """`name` is its file's; `sentence` says what it shows. The first column heads its rows.

    `records`, header first, is what the CSV holds where that should be more than the cells.
    """

    name: str
    title: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    records: tuple[tuple[Value, ...], ...] = ()


def count(number: int) -> Cell:
    return Cell(f"{number:,}", int(number))


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}"


def with_interval(value: float, low: float, high: float) -> str:
    """As percent: `61.2 [55.0, 67.1]`, without brackets where the interval is unknown."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return percent(value)
    return f"{percent(value)} [{percent(low)}, {percent(high)}]"


def datasets_table(contents: Contents) -> Table | None:
    """Table I: prepared photographs of each split beside the published numbers."""
    if not contents.datasets:
        return None
    rows, records = [], []
    for name, dataset in contents.datasets.items():
        prepared = {split: int((dataset.images["split"] == split).sum()) for split in SPLITS}
        published = _published(name)
        patients, listed = dataset.images["patient_id"].nunique(), dataset.problems.total()
        counts = [_beside(prepared[split], published.get(split)) for split in SPLITS]
        rows.append((Cell(title(name)), *counts, count(patients), count(listed)))
        records.append((name, *prepared.values(), *(published.get(split) for split in SPLITS), patients, listed))
    header = ("dataset", *SPLITS, *(f"{split}_published" for split in SPLITS), "patients", "listed_problems")
    return Table(
        name="datasets",
        title="Data sets",
        sentence="Photographs that were prepared, by split, and how many the publication of each data set counts.",
        columns=("data set", "training", "validation", "test", "patients", "in quarantine.csv"),
        rows=tuple(rows),
        notes=(
            "Where no validation photographs are published, a fifth of the training patients became them. "
            "quarantine.csv lists files that can't be used, labels without a file, and duplicates.",
        ),
        records=(header, *records),
    )


def _published(dataset: str) -> dict[str, int]:
    return DATASETS[dataset].published if dataset in DATASETS else {}


def _beside(prepared: int, published: int | None) -> Cell:
    return count(prepared) if published is None else Cell(f"{prepared:,} of {published:,}", prepared)


def labeler_table(contents: Contents) -> Table | None:
    """AUC on the validation photographs with its interval, beside the paper's."""
    if contents.labeler is None:
        return None
    measured, about = contents.labeler.provenance.get("validation", {}), contents.labeler.provenance.get("labeler", {})
    if "auc" not in measured:
        return None
    auc, low, high, best, epoch = (
        float(measured[key]) for key in ("auc", "auc_low", "auc_high", "best_auc", "best_epoch")
    )
    row = (
        Cell(str(about.get("architecture", ""))),
        Cell(f"{about.get('image_size', '')} px", about.get("image_size")),
        Cell(with_interval(auc, low, high), auc),
        Cell(f"{percent(best)} (epoch {epoch + 1:.0f})", best),
    )
    return Table(
        name="labeler",
        title="Normal or abnormal",
        sentence="How well the labeler tells abnormal from normal photographs that it was not trained on: AUC in "
        "percent, with the 95 % interval over patients.",
        columns=("architecture", "photographs", "AUC after the last epoch", "best AUC of all epochs"),
        rows=(row,),
        notes=("50 is chance. The paper reports 72 on the off-site part of OIA-ODIR.",),
    )


def swap_table(contents: Contents) -> Table | None:
    """Patches of each data set and the share of abnormal ones at the paper's thresholds and at the chosen one."""
    if contents.swap is None or contents.patches is None:
        return None
    chosen = float(contents.swap.settings["threshold"])
    thresholds = sorted({*THRESHOLDS, chosen})
    groups = [(title(str(name)), part) for name, part in contents.patches.groupby("dataset", sort=True)]
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
        rows=tuple(_patch_row(name, part, thresholds) for name, part in [*groups, ("all", contents.patches)]),
        notes=("The paper has 493,470 patches; 29.0 % of them are abnormal at t = 0.4.",),
    )


def _patch_row(name: str, patches: pd.DataFrame, thresholds: Sequence[float]) -> tuple[Cell, ...]:
    score = patches["score"].to_numpy(dtype=np.float32)
    shares = [float(is_abnormal(score, threshold).mean()) for threshold in thresholds]
    return (
        Cell(name),
        count(patches["path"].nunique()),
        count(len(patches)),
        *(Cell(f"{percent(share)} %", share) for share in shares),
    )


def judgement_table(contents: Contents) -> Table | None:
    """The lesion scores against lesion masks, where there are masks."""
    judgement = _judgement(contents)
    if not judgement:
        return None
    notes = [
        "Within photographs that hold lesions, knowing which photograph is abnormal earns nothing: only finding the "
        "place does."
    ]
    f1, threshold = (float(judgement.get(key, "nan")) for key in ("f1", "threshold"))
    if np.isfinite(f1):
        notes.append(f"The best F1 of abnormal patches as lesion finders, {percent(f1)} %, is at t = {threshold:.2f}.")
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
        notes=tuple(notes),
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


def _judged(among: str, value: float | None, interval: Sequence[float] | None = None) -> tuple[Cell, ...]:
    if value is None or not np.isfinite(value):
        return Cell(among), Cell("-", "")
    low, high = interval or (float("nan"), float("nan"))
    return Cell(among), Cell(with_interval(value, low, high), value)
