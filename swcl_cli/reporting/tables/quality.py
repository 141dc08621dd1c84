"""Make the table of the quality of photographs, by data set."""

from __future__ import annotations

from swcl_cli.audit.quality import DOUBTFUL, PARTS
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.quality import qualities
from swcl_cli.reporting.tables.table import Cell, Table, Value, count


def quality_table(contents: Contents) -> Table | None:
    """Show of each data set the median quality, and how many photographs are doubtful, by their worst part."""
    found = qualities(contents)
    if found.empty:
        return None
    rows: list[tuple[Cell, ...]] = []
    records: list[tuple[Value, ...]] = [("dataset", "measured", "median", "doubtful", *PARTS)]
    for name, photographs in found.groupby("dataset", sort=False):
        poor = photographs[photographs["quality"] < DOUBTFUL]
        reasons = {part: int((poor["reason"] == part).sum()) for part in PARTS}
        middle = float(photographs["quality"].median())
        words = ", ".join(f"{part} {number:,}" for part, number in reasons.items() if number) or "-"
        numbers = (count(len(photographs)), Cell(f"{middle:.2f}", middle), count(len(poor)))
        rows.append((Cell(title(str(name))), *numbers, Cell(words)))
        records.append((str(name), len(photographs), middle, len(poor), *reasons.values()))
    return Table(
        name="quality",
        title="Quality of photographs",
        sentence="How well the photographs show the retina, from 0 to 1, as prepared, by `swcl audit`.",
        columns=("data set", "measured", "median quality", f"below {DOUBTFUL:g}", "their worst part"),
        rows=tuple(rows),
        notes=(
            "The product of seven parts: the share of the field of view that is seen, clipped light, light, contrast, "
            "sharpness, vessels, and blocks of strong JPEG compression. `swcl prep --least-quality` sets photographs "
            "aside by it.",
        ),
        records=tuple(records),
    )
