"""Make the table of what pretraining adds, by protocol of fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.differences import Comparison
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.paired import NOT_TOLD_APART
from swcl_cli.reporting.findings.protocol import protocol_of
from swcl_cli.reporting.findings.protocols import Row, rows_by_protocol
from swcl_cli.reporting.tables.differences import BOOTSTRAP, BOTH, drawn, of_many, points
from swcl_cli.reporting.tables.table import Cell, Table, Value, finite

TAUGHT = "Marked taught: its pretraining learnt labels of photographs that are tested here; the score flatters it."


def protocols_table(contents: Contents) -> Table | None:
    """Show each initialisation beside its start and beside SWCL, where rows were fine-tuned by several protocols."""
    if len({protocol_of(contents, *key) for key in contents.finetuned}) < 2:
        return None
    rows = rows_by_protocol(contents)
    compared = [pair for row in rows for pair in (row.over_start, row.swcl) if pair]
    pairs = {(pair.task, *sorted((pair.name, pair.against))) for pair in compared}
    header = (
        *("task", "protocol", "fraction", "initialisation", "measure", "mean", "standard_deviation", "runs", "low"),
        *("high", "start", *_named("over_start"), *_named("swcl_over_it"), "taught"),
    )
    return Table(
        name="study",
        title="What pretraining adds",
        sentence="Each initialisation beside the weights that its pretraining began with, and beside SWCL from the "
        "same weights with as many views, fine-tuned alike and tested on the same photographs, with 95 % intervals of "
        "a paired bootstrap.",
        columns=("task", "protocol", "initialisation", "score", "over its start", "verdict", "SWCL over it", "verdict"),
        rows=tuple(_cells(row) for row in rows),
        conclusions=conclusions(rows),
        notes=(BOOTSTRAP, of_many(len(pairs)), *([TAUGHT] if any(row.taught for row in rows) else [])),
        records=(header, *map(_record, rows)),
    )


def conclusions(rows: Sequence[Row]) -> tuple[str, ...]:
    """Say which initialisations are told apart, each pair once: a sentence for each task and protocol."""
    sentences = []
    for (task, protocol), alike in groupby(rows, key=lambda row: (row.task, row.protocol)):
        of_task = list(alike)
        pairs = {(pair.name, pair.against): pair for row in of_task for pair in (row.over_start, row.swcl) if pair}
        if pairs:
            tested = max(row.tested for row in of_task)
            said = "; ".join(map(_said, pairs.values()))
            sentences.append(f"{title(task)}, {protocol}, tested on {counted(tested, 'photographs')}: {said}.")
    return tuple(sentences)


def _said(pair: Comparison) -> str:
    """Say a verdict: `swcl is better than random (+6.1 [+2.0, +9.9])`."""
    about = drawn(pair.gap)
    numbers = points(pair.gap) + (f", {about}" if about != BOTH else "")
    if pair.gap.verdict == NOT_TOLD_APART:
        return f"{pair.name} and {pair.against} are not told apart ({numbers})"
    return f"{pair.name} is {pair.gap.verdict} than {pair.against} ({numbers})"


def _cells(row: Row) -> tuple[Cell, ...]:
    name = f"{row.name} (taught)" if row.taught else row.name
    first = (Cell(title(row.task), row.task), Cell(str(row.protocol)), Cell(name, row.name))
    return *first, Cell(row.score.text(), row.score.mean), *_pair(row.over_start), *_pair(row.swcl)


def _pair(comparison: Comparison | None) -> tuple[Cell, Cell]:
    if comparison is None:
        return Cell(), Cell()
    about = drawn(comparison.gap)
    verdict = comparison.gap.verdict + (f" ({about})" if about != BOTH else "")
    return Cell(points(comparison.gap), comparison.gap.value), Cell(verdict)


def _named(kind: str) -> tuple[str, ...]:
    return kind, f"{kind}_low", f"{kind}_high", f"{kind}_verdict", f"{kind}_drawn"


def _record(row: Row) -> tuple[Value, ...]:
    score = row.score
    about = (row.task, row.protocol.trains, row.protocol.fraction, row.name, score.measure)
    numbers = (score.mean, finite(score.spread), score.runs, finite(score.low), finite(score.high))
    return *about, *numbers, row.start, *_numbers(row.over_start), *_numbers(row.swcl), int(row.taught)


def _numbers(comparison: Comparison | None) -> tuple[Value, ...]:
    if comparison is None:
        return None, None, None, "", ""
    gap = comparison.gap
    return gap.value, finite(gap.low), finite(gap.high), gap.verdict, drawn(gap)
