"""Make the table of predicted numbers, such as ages."""

from __future__ import annotations

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.grouping import by_head, by_initialisation
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.percentages import OWN_UNIT
from swcl_cli.reporting.findings.scores import over_runs
from swcl_cli.reporting.findings.splits import VALIDATION, shown_rows
from swcl_cli.reporting.tables.table import Cell, Table, Value, count, finite, score_cell

MEASURES = ("mae", "r2", "pearson")
HEADER = ("task", "initialisation", "split", "label", "measure", "mean", "low", "high", "runs")


def numbers_table(contents: Contents) -> Table | None:
    """Show how near predicted numbers come to the true ones, by task, label and initialisation."""
    rows: list[tuple[Cell, ...]] = []
    records: list[tuple[Value, ...]] = [HEADER]
    results = shown_rows(contents.results)
    for task, head, only, predicted in by_head(shown_rows(contents.numbers), contents.classified):
        for name, of_name in by_initialisation(predicted):
            runs = results[(results["task"] == task) & (results["name"] == name)]
            scores = {measure: over_runs(runs, measure if only else f"{head}_{measure}") for measure in MEASURES}
            split = str(of_name["split"].iloc[0])
            where = f"{title(task)}{', validation' if split == VALIDATION else ''}"
            cells = [score_cell(score[0] if score else None, score and score[1], of) for of, score in scores.items()]
            told = of_name["image_id"].nunique()
            rows.append((Cell(where, task), Cell(name), Cell(title(head), head), count(told), *cells))
            records += [
                (task, name, split, head, measure, score[0], *map(finite, score[1]), score[2])
                for measure, score in scores.items()
                if score is not None
            ]
    if not rows:
        return None
    return Table(
        name="numbers",
        title="Numbers",
        sentence=f"How near predicted numbers come to the true ones: the mean absolute error in {OWN_UNIT}, of which "
        "less is better; R2, which is 0 where always saying the mean would be as good, and 1 at best; and Pearson's "
        "correlation. Means over seeds; intervals over patients where there is a single run.",
        columns=("task", "initialisation", "label", "rows", *map(title, MEASURES)),
        rows=tuple(rows),
        records=tuple(records),
    )
