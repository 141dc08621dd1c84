"""Make the tables of copies: pairs by data set, and the scores without tested photographs that were learnt."""

from __future__ import annotations

import numpy as np

from swcl_cli.audit.verdict import COPY, VISIT
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.copies import Leak, leaks
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.paired import Sampled
from swcl_cli.reporting.findings.percentages import written
from swcl_cli.reporting.tables.table import Cell, Table, Value, count, finite, score_cell


def copies_table(contents: Contents) -> Table | None:
    """Count the pairs of each kind within and between data sets."""
    if contents.audit is None:
        return None
    rows: list[tuple[Cell, ...]] = []
    records: list[tuple[Value, ...]] = [
        ("dataset", "other_dataset", "copies", "unlike_labels", "parted_by_splits", "visits")
    ]
    for (one, other), pairs in contents.pairs.groupby(["dataset", "other_dataset"], sort=True):
        same = pairs["kind"] == COPY
        numbers = (
            *(int(chosen.sum()) for chosen in (same, pairs["unlike"].notna(), pairs["leak"].notna())),
            int((pairs["kind"] == VISIT).sum()),
        )
        between = title(str(one)) if one == other else f"{title(str(one))} and {title(str(other))}"
        rows.append((Cell(between), *map(count, numbers)))
        records.append((str(one), str(other), *numbers))
    photographs = contents.audit.provenance.get("photographs", 0)
    found = "" if rows else " None was found."
    return Table(
        name="copies",
        title="Copies of photographs",
        sentence=f"Pairs among {counted(photographs, 'photographs')} of "
        f"{counted(len(contents.audit.inputs), 'data sets')} that are the same photograph, resized, compressed again, "
        f"cropped, brightened, mirrored or turned, as swcl audit finds them.{found}",
        columns=("data sets", "copies", "with unlike labels", "parted by splits", "one eye, two photographs"),
        rows=tuple(rows),
        notes=(
            "Parted by splits: one data set has them in two splits, or one of two data sets tests on its copy. Two "
            "photographs of one eye are no copies, and no leak is counted for them. All pairs are in audit.parquet.",
        )
        if rows
        else (),
        records=tuple(records),
    )


def leaks_table(contents: Contents) -> Table | None:
    """Show the official score of each row with a leak beside the score without the photographs concerned."""
    found = leaks(contents)
    if not found:
        return None
    header = ("task", "initialisation", "measure", "tested", "learnt_copies", "score", "low", "high")
    return Table(
        name="leaks",
        title="Scores without photographs that were learnt",
        sentence="Tested photographs of which a copy was learnt, in the task's own training part or on the way to the "
        "initial weights, and the score on all others, from the stored predictions: nothing is trained again.",
        columns=("task", "initialisation", "tested", "of them learnt", "score of all", "without them", "change"),
        rows=tuple(_row(leak) for leak in found),
        records=((*header, "without", "without_low", "without_high"), *map(_record, found)),
    )


def _row(leak: Leak) -> tuple[Cell, ...]:
    numbers = (count(leak.tested), count(len(leak.ids)), _score(leak, leak.official), _score(leak, leak.without))
    return Cell(title(leak.task), leak.task), Cell(leak.name), *numbers, _change(leak)


def _score(leak: Leak, sampled: Sampled | None) -> Cell:
    return score_cell(sampled.mean, sampled.interval, leak.measure) if sampled else Cell("-", "")


def _change(leak: Leak) -> Cell:
    if leak.official is None or leak.without is None:
        return Cell("-", "")
    gap = leak.without.mean - leak.official.mean
    return Cell(f"{'+' if gap >= 0 else ''}{written(gap, leak.measure)}", gap)


def _record(leak: Leak) -> tuple[Value, ...]:
    numbers = []
    for sampled in (leak.official, leak.without):
        ends = (sampled.mean, *sampled.interval) if sampled else (np.nan,) * 3
        numbers += [finite(float(value)) for value in ends]
    return leak.task, leak.name, leak.measure, leak.tested, len(leak.ids), *numbers
