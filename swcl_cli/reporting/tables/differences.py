"""Make the table of differences between initialisations on the same photographs."""

from __future__ import annotations

import numpy as np

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.differences import BEST_OTHER, PATIENTS_ALONE, RANDOM, Comparison, comparisons
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.paired import RESAMPLES, Difference
from swcl_cli.reporting.findings.percentages import besides_percent, decimals_of, factor_of
from swcl_cli.reporting.findings.splits import VALIDATION
from swcl_cli.reporting.tables.table import Cell, Table, Value

BOTH = "patients and runs"
BOOTSTRAP = (
    f"The intervals come from {RESAMPLES:,} resamples of the patients and, with them, of the runs: both "
    "initialisations get the same patients and the same seeds, and the folds of a seed are averaged. Where the seeds "
    "are not the same, those that both have are compared, if they are two or more; else runs are drawn apart. "
    f"Where either has one seed alone, only patients are drawn ({PATIENTS_ALONE}): how much runs differ by chance is "
    "then not in the interval, which is far too narrow; that of two or three seeds is somewhat too narrow."
)
CHOSEN = "The best other one was chosen on these photographs too, which flatters it."


def differences_table(contents: Contents) -> Table | None:
    """Show each initialisation minus random weights, and minus the best other one, with 95 % intervals."""
    compared, left_out = comparisons(contents)
    if not compared:
        return None
    rows = []
    by_row: dict[tuple[str, str], dict[str, Comparison]] = {}
    for each in compared:
        by_row.setdefault((each.task, each.name), {})[each.kind] = each
    for (task, name), kinds in by_row.items():
        random, best = kinds.get(RANDOM), kinds.get(BEST_OTHER)
        other = Cell(best.against if best else "")
        where = ", validation" if next(iter(kinds.values())).split == VALIDATION else ""
        rows.append((Cell(f"{title(task)}{where}", task), Cell(name), *_cells(random), other, *_cells(best)))
    pairs = {(each.task, *sorted((each.name, each.against))) for each in compared}
    notes = [BOOTSTRAP, f"{of_many(len(pairs))} {CHOSEN}"]
    if left_out:
        notes.append(
            "Not compared, since the stored predictions are missing or do not give the score of the run: "
            f"{'; '.join(left_out)}."
        )
    of_errors = besides_percent(each.gap.measure for each in compared).replace(", or, of", "; of", 1)
    header = (
        *("task", "split", "initialisation", "against", "kind", "difference", "low", "high", "verdict"),
        *("runs", "runs_against", "drawn"),
    )
    return Table(
        name="differences",
        title="Differences on the same photographs",
        sentence="By how many points each initialisation differs from random initial weights, and from the best other "
        f"initialisation, on the same photographs{of_errors}, with 95 % intervals of a paired bootstrap.",
        columns=("task", "initialisation", "over random", "verdict", "best other", "over it", "verdict"),
        rows=tuple(rows),
        notes=tuple(notes),
        records=(header, *map(_record, compared)),
    )


def _cells(comparison: Comparison | None) -> tuple[Cell, Cell]:
    if comparison is None:
        return Cell(), Cell()
    gap = comparison.gap
    about = drawn(gap)
    return Cell(points(gap), gap.value), Cell(gap.verdict + (f" ({about})" if about != BOTH else ""))


def drawn(gap: Difference) -> str:
    """Say in words what the interval is over, and which runs were paired."""
    if not gap.with_runs:
        return PATIENTS_ALONE
    if gap.paired is None:
        return BOTH
    return f"{gap.paired} shared seeds" if gap.paired else "runs unpaired"


def points(gap: Difference) -> str:
    """Write `+3.2 [-0.4, +6.9]`, without brackets where there is no interval; no minus before a zero."""
    ends = (gap.value, gap.low, gap.high)
    places = decimals_of(gap.measure, *ends)
    value, low, high = (round(factor_of(gap.measure) * end, places) + 0.0 for end in ends)
    shown = f"{value:+.{places}f}"
    return f"{shown} [{low:+.{places}f}, {high:+.{places}f}]" if np.isfinite(low) else shown


def _record(comparison: Comparison) -> tuple[Value, ...]:
    gap, pair = comparison.gap, (comparison.name, comparison.against)
    numbers = (gap.value, *(end if np.isfinite(end) else None for end in (gap.low, gap.high)))
    return (
        comparison.task,
        comparison.split,
        *pair,
        comparison.kind,
        *numbers,
        gap.verdict,
        *comparison.runs,
        drawn(gap),
    )


def of_many(count: int) -> str:
    """Warn of multiple comparisons."""
    by_chance = f"about {round(count / 20)} of them" if count >= 20 else "one in twenty"
    return (
        f"The table makes {counted(count, 'comparisons')}, and no interval is widened for the others: if nothing "
        f"differed, {by_chance} would be called better or worse by chance."
    )
