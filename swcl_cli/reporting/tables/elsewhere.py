"""Make the table of models that were scored on data sets that they were not trained on."""

from __future__ import annotations

from swcl_cli.reporting.evidence.contents import Contents, Elsewhere
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.tables.table import Cell, Table, Value, count, finite, score_cell

HEADER = (
    *("trained_on", "tested_on", "task", "initialisation", "run", "models", "measure", "value", "low", "high"),
    *("photographs", "patients"),
)


def elsewhere_table(contents: Contents) -> Table | None:
    """Show the primary measure of each model, or ensemble, on each data set; all measures are in its CSV."""
    rows: list[tuple[Cell, ...]] = []
    records: list[tuple[Value, ...]] = [HEADER]
    for tested in contents.elsewhere:
        rows.append(_row(tested))
        about = (" and ".join(tested.trained_on), tested.dataset)
        for row in tested.rows.to_dict("records"):
            scored = (row["measure"], *map(finite, (row["value"], row["low"], row["high"])))
            counts = (tested.photographs, tested.patients)
            records.append((*about, row["task"], row["name"], row["run"], tested.models, *scored, *counts))
    if not rows:
        return None
    sentences = dict.fromkeys(sentence for tested in contents.elsewhere for sentence in tested.left_out)
    return Table(
        name="elsewhere",
        title="Trained here, tested there",
        sentence="How well models do on data sets that they were not trained on, as swcl predict --data scores them: "
        "the primary measure with its 95 % interval over patients. Several models answer by the mean of their "
        "probabilities. These scores are a part of no other table.",
        columns=("trained on", "tested on", "task", "model", "measure", "score", "photographs", "patients"),
        rows=tuple(rows),
        notes=tuple(sentences),
        records=tuple(records),
    )


def _row(tested: Elsewhere) -> tuple[Cell, ...]:
    ordered = tested.rows.sort_values("primary", ascending=False, kind="stable")
    row = ordered.to_dict("records")[0]
    model = f"{row['name']}, {row['run']}" if tested.models == 1 else f"{row['name']}, {tested.models} models"
    score = None if row["value"] != row["value"] else float(row["value"])
    return (
        Cell(" and ".join(tested.trained_on)),
        Cell(tested.dataset),
        Cell(title(row["task"]), row["task"]),
        Cell(model),
        Cell(title(row["measure"]), row["measure"]),
        score_cell(score, (float(row["low"]), float(row["high"])), row["measure"]),
        count(tested.photographs),
        count(tested.patients),
    )
