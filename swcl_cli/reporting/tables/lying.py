"""Make the table of how photographs lie: upside down, or named after the other eye."""

from __future__ import annotations

from swcl_cli.data.orientation import SURE
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.tables.table import Cell, Table, Value, count


def lying_table(contents: Contents) -> Table | None:
    """Count the photographs of each data set that lie upside down, and those whose names tell the other eye."""
    if not contents.lying:
        return None
    rows, records = [], list[tuple[Value, ...]]()
    for name, frame in contents.lying.items():
        named = frame["eye"] != "unknown"
        unsure = frame["inverted_confidence"] < SURE
        numbers = tuple(
            int(number)
            for number in (len(frame), frame["inverted"].sum(), unsure.sum(), named.sum(), frame["misnamed"].sum())
        )
        rows.append((Cell(title(name)), *map(count, numbers)))
        records.append((name, *numbers))
    return Table(
        name="lying",
        title="How photographs lie",
        sentence="Photographs that are turned by 180 degrees, and those whose names tell the other eye than is seen, "
        "by `swcl audit`.",
        columns=(
            "data set",
            "photographs",
            "upside down",
            "unsure which way up",
            "with a named eye",
            "named otherwise",
        ),
        rows=tuple(rows),
        notes=(
            f"Unsure: a chance below {SURE:g} that it is told rightly. `swcl make-swap --align` turns photographs that "
            "lie upside down. Each photograph's row is in data/DATASET/orientation.parquet.",
        ),
        records=(
            ("dataset", "photographs", "inverted", "unsure", "with_a_named_eye", "misnamed"),
            *records,
        ),
    )
