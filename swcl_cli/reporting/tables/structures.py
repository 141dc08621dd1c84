"""Make the table of the scores of each structure, of tasks whose masks show several."""

from __future__ import annotations

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.names import ordered_initialisations, ordered_tasks, title
from swcl_cli.reporting.findings.scores import over_runs
from swcl_cli.reporting.findings.splits import VALIDATION, shown_rows
from swcl_cli.reporting.tables.table import Cell, Table, Value, finite, score_cell

MEASURES = {  # their titles by name
    "f1": "F1",
    "f1_pooled": "F1, pooled",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auc": "AUC",
}
MEAN = "mean"  # over structures
AREAS = {"": "whole", "_fov": "field of view"}
HEADER = ("task", "initialisation", "split", "structure", "area", "measure", "mean", "low", "high", "runs")


def structures_table(contents: Contents) -> Table | None:
    """Show the scores of each structure and their mean, in the whole photograph and inside its field of view."""
    results = shown_rows(contents.results)
    rows: list[tuple[Cell, ...]] = []
    records: list[tuple[Value, ...]] = [HEADER]
    for task in ordered_tasks(results["task"]):
        of_task = contents.segmented[contents.segmented["task"] == task]
        structures = list(dict.fromkeys(of_task["structure"]))
        if len(structures) < 2:
            continue
        task_rows = results[results["task"] == task]
        for name in ordered_initialisations(task_rows["name"]):
            runs = task_rows[task_rows["name"] == name]
            where = f"{title(task)}{', validation' if (runs['split'] == VALIDATION).all() else ''}"
            for structure in (*structures, MEAN):
                for suffix, area in AREAS.items():
                    scores = {
                        measure: over_runs(runs, f"{'' if structure == MEAN else f'{structure}_'}{measure}{suffix}")
                        for measure in MEASURES
                    }
                    known = {measure: score for measure, score in scores.items() if score is not None}
                    if not known:
                        continue
                    cells = (score_cell(*(score or (None, None))[:2]) for score in scores.values())
                    rows.append((Cell(where, task), Cell(name), Cell(structure), Cell(area), *cells))
                    about = (task, name, str(runs["split"].iloc[0]), structure, area)
                    records += [
                        (*about, measure, value, *map(finite, interval), count)
                        for measure, (value, interval, count) in known.items()
                    ]
    if not rows:
        return None
    return Table(
        name="structures",
        title="Each structure",
        sentence="How well each structure is found, and their mean, in percent: F1 is the mean over photographs, where "
        "nothing there and nothing found counts as found; the other measures are over the pixels of all photographs.",
        columns=("task", "initialisation", "structure", "pixels", *MEASURES.values()),
        rows=tuple(rows),
        records=tuple(records),
    )
