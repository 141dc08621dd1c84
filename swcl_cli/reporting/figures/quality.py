"""Show the photographs of the lowest quality, and those that are nearest to what is called doubtful."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swcl_cli.audit.quality import DOUBTFUL
from swcl_cli.data.images import read_image
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import shortened
from swcl_cli.reporting.figures.photographs import show
from swcl_cli.reporting.figures.style import Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.figures.texts import shortened as short
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.quality import borderline, qualities, worst

ACROSS, ROWS = 6, 2  # photographs in a row, and rows of each kind
LONGEST = 24  # letters of a name


@dataclass(frozen=True)
class Shown:
    """Hold a photograph (H, W, 3), its quality with the worst part, and its name."""

    photograph: NDArray[np.uint8]
    words: str
    name: str


def quality_figure(contents: Contents) -> Figure | None:
    """Make a figure of the worst photographs of all data sets, and of the borderline ones."""
    found = qualities(contents)
    number = ACROSS * ROWS
    lowest = worst(found, number)
    others = borderline(found[~found["path"].isin(lowest["path"])], number)
    kinds = {"the worst": lowest, f"nearest to {DOUBTFUL:g}": others}
    read = {
        words: [each for row in rows.to_dict("records") if (each := contents.attempt(partial(_read, contents, row)))]
        for words, rows in kinds.items()
    }
    shown = {words: photographs for words, photographs in read.items() if photographs}
    if not shown:
        return None
    told = "; ".join(
        f"{words}: {', '.join(f'{each.name} {each.words}' for each in photographs)}"
        for words, photographs in shown.items()
    )
    return Figure(
        "quality",
        "Photographs of low quality",
        "The photographs of the lowest quality, and those whose quality is nearest to the value below which `swcl "
        "audit` counts them as doubtful, each with its quality and the worst of its parts.",
        shortened(f"Photographs with their quality. {told}."),
        partial(_draw, shown),
        photographic=True,
    )


def _read(contents: Contents, row: Mapping[Hashable, Any]) -> Shown:
    name = short(f"{title(row['dataset'])} {row['image_id']}", LONGEST)
    return Shown(read_image(contents.root / row["path"]), f"{row['quality']:.2f}, {row['reason']}", name)


def _draw(kinds: Mapping[str, Sequence[Shown]], theme: Theme) -> Drawing:
    lines = [-(-len(photographs) // ACROSS) for photographs in kinds.values()]
    drawing = new_drawing(theme, 9.6, sum(0.4 + 1.8 * number for number in lines))
    panels = drawing.subfigures(len(lines), 1, squeeze=False, height_ratios=lines)[:, 0]
    for panel, number, (words, photographs) in zip(panels, lines, kinds.items(), strict=True):
        panel.suptitle(words, fontsize=10, x=0.01, ha="left")
        grid = panel.subplots(number, ACROSS, squeeze=False).ravel()
        for axes, each in zip(grid, photographs, strict=False):
            show(axes, each.photograph, each.words, size=8)
            axes.set_xlabel(each.name, fontsize=7)
        for axes in grid[len(photographs) :]:
            axes.set_axis_off()
    return drawing
