"""Draw embeddings of photographs on a plane, coloured by label."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from swcl_cli import chance
from swcl_cli.catalogue.labels import Label
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import shortened
from swcl_cli.reporting.figures.axes import BESIDE
from swcl_cli.reporting.figures.strokes import MARKERS
from swcl_cli.reporting.figures.strokes import label as short
from swcl_cli.reporting.figures.style import COLOURS, NARROWEST, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.colouring import UNKNOWN, Colouring, colourings
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.names import slug

MOST_POINTS = 3000
WORDS = {
    "pca": "The plane in which the embeddings vary most (PCA). Photographs that lie apart here are far apart; those "
    "that lie together need not be alike.",
    "umap": "A layout in which neighbours stay neighbours (UMAP). Distances between groups, and their sizes, mean "
    "nothing; another seed lays them out otherwise.",
}


def embedding_planes(contents: Contents) -> list[Figure]:
    """Make the figures of all embeddings that the workspace holds."""
    return [
        figure
        for name, each in contents.embedded.items()
        for figure in plane_figures(each.rows, each.labels, each.variance, f"{name}: ", f"plane-{slug(name)}-")
    ]


def plane_figures(
    rows: pd.DataFrame, labels: Sequence[Label], variance: Sequence[float], before: str = "", prefix: str = ""
) -> list[Figure]:
    """Make a figure for each plane in the table of embeddings (N rows), with a panel for each label.

    variance: shares along the principal axes. before, prefix: of the figures' titles, and of their names.
    """
    count = len(rows)
    drawn = rows
    if count > MOST_POINTS:
        chosen = chance.generator(0, "points of a plane").choice(count, MOST_POINTS, replace=False)
        drawn = rows.iloc[np.sort(chosen)]
    ways = colourings(drawn, labels)
    some = f" {MOST_POINTS:,} of {count:,} photographs, drawn by chance." if count > MOST_POINTS else ""
    coloured = f" Coloured by {' and '.join(way.name for way in ways)}." if ways else ""
    axes = {
        "pca": [f"principal axis {number}, {share:.0%} of variance" for number, share in enumerate(variance, 1)],
        "umap": ["", ""],
    }
    return [
        Figure(
            f"{prefix}{name}",
            f"{before}embeddings of {counted(count, 'photographs')} ({name.upper()})",
            f"{WORDS[name]}{coloured}{some}",
            shortened(f"Scatter plot of {counted(len(drawn), 'photographs')}.{coloured}"),
            partial(_draw, drawn[[f"{name}_1", f"{name}_2"]].to_numpy(dtype=np.float64), ways, axes[name]),
        )
        for name in WORDS
        if f"{name}_1" in rows
    ]


def _draw(places: np.ndarray, ways: Sequence[Colouring], axis: Sequence[str], theme: Theme) -> Drawing:
    shown = list(ways) or [Colouring("", {"": np.ones(len(places), dtype=bool)})]
    lines = (len(shown) + 1) // 2
    drawing = new_drawing(theme, 8.2 if len(shown) > 1 else NARROWEST, 0.4 + 3.4 * lines)
    panels = drawing.subplots(lines, min(len(shown), 2), squeeze=False, sharex=True, sharey=True)
    size = 22 if len(places) < 300 else 7
    for axes, way in zip(panels.flat, shown, strict=False):
        coloured = [name for name in way.groups if name != UNKNOWN]
        for name, members in sorted(way.groups.items(), key=lambda group: group[0] != UNKNOWN):
            place = coloured.index(name) if name in coloured else -1
            axes.scatter(
                *places[members].T,
                s=size,
                color=theme.faint if place < 0 else COLOURS[place % len(COLOURS)],
                marker="." if place < 0 else MARKERS[place % len(MARKERS)],
                linewidths=0,
                alpha=0.8,
                label=f"{short(name)} ({members.sum():,})",
            )
        axes.set_title(way.name)
        axes.set_xticks([])
        axes.set_yticks([])
        if ways:
            axes.legend(**BESIDE, markerscale=1 if size > 10 else 2)
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    if axis[0]:
        drawing.supxlabel(axis[0], fontsize=10)
        drawing.supylabel(axis[1], fontsize=10)
    return drawing
