"""Make the table of calibration: how far probabilities are from what comes true, before and after."""

from __future__ import annotations

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.grouping import by_initialisation, by_task
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.scores import over_runs
from swcl_cli.reporting.findings.splits import shown_rows, split_word
from swcl_cli.reporting.tables.table import Cell, Table, Value, finite, score_cell

AFTER, BEFORE = "calibration_error", "uncalibrated_error"
HEADER = ("task", "initialisation", "split", "label", "measure", "mean", "low", "high", "runs")


def calibration_table(contents: Contents) -> Table | None:
    """Show the expected calibration error of each label before and after its probabilities were calibrated."""
    rows: list[tuple[Cell, ...]] = []
    records: list[tuple[Value, ...]] = [HEADER]
    results = shown_rows(contents.results)
    for task, of_task in by_task(results):
        for name, runs in by_initialisation(of_task):
            told = dict.fromkeys(measure for measure in runs["measure"] if measure.endswith(AFTER))
            for head in (measure.removesuffix(AFTER) for measure in told):
                label = head.removesuffix("_")
                scores = {measure: over_runs(runs, f"{head}{measure}") for measure in (BEFORE, AFTER)}
                cells = [score_cell(score[0] if score else None, score and score[1]) for score in scores.values()]
                where = Cell(title(task) + ("" if split_word(runs) == "test" else ", validation"), task)
                rows.append((where, Cell(name), Cell(title(label), label), *cells))
                about = (task, name, str(runs["split"].iloc[0]), label)
                records += [
                    (*about, measure, score[0], *map(finite, score[1]), score[2])
                    for measure, score in scores.items()
                    if score is not None
                ]
    if not rows:
        return None
    return Table(
        name="calibration",
        title="Calibration",
        sentence="Expected calibration error in percentage points, before and after a temperature that validation "
        "chose: the mean over photographs of the distance between the share of answers that are right and their mean "
        "probability, in 15 equal bins of this probability; of several signs at once, of each sign. Means over seeds; "
        "intervals over patients where there is a single run.",
        columns=("task", "initialisation", "label", "before", "after"),
        rows=tuple(rows),
        records=tuple(records),
    )
