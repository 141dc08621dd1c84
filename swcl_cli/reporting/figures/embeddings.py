"""Draw the figure of how embeddings lie in the course of pretraining."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pandas as pd

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Entry, shortened, summary
from swcl_cli.reporting.figures.axes import count_steps
from swcl_cli.reporting.figures.smoothing import course, is_logged, running_mean
from swcl_cli.reporting.figures.strokes import initialisations, label, pretraining_logs, strokes
from swcl_cli.reporting.figures.style import Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.figures.thinning import thinned

PANELS = {  # column of the log -> title of its panel
    "embedding_spread": "spread (0: collapsed)",
    "alignment": "distance of positives",
    "uniformity": "uniformity (0: collapsed)",
    "positives": "positives of a view",
}


def embeddings_figure(contents: Contents) -> Figure | None:
    """Make a figure with a panel for each measure."""
    logs = pretraining_logs(contents)
    measured = [column for column in PANELS if any(is_logged(log, column) for log in logs.values())]
    if not measured:
        return None
    first = measured[0]
    ends = {name: float(log[first].dropna().iloc[-1]) for name, log in logs.items() if is_logged(log, first)}
    entries = [Entry(name, value, f"{value:.2f}") for name, value in ends.items()]
    return Figure(
        "embeddings",
        "How the embeddings lie in training",
        "Running averages over the batches of each pretraining. An encoder that puts all photographs in one place has "
        "collapsed and tells nothing apart: its spread is 0, that of evenly spread ones 1. A good one brings positives "
        "together and spreads all others. Distance of positives and uniformity are those of Wang and Isola (2020); "
        "evenly spread embeddings have a uniformity of about -4.",
        shortened(f"Line charts. {PANELS[first].capitalize()}; at last: {summary(entries)}."),
        partial(_draw, logs, measured, initialisations(contents)),
    )


def _draw(logs: Mapping[str, pd.DataFrame], measured: list[str], order: list[str], theme: Theme) -> Drawing:
    rows = (len(measured) + 1) // 2
    drawing = new_drawing(theme, 8.2, 0.7 + 2.1 * rows)
    panels = drawing.subplots(rows, 2, squeeze=False)
    look = strokes(order, theme)
    for axes, column in zip(panels.flat, measured, strict=False):
        for name, log in logs.items():
            if is_logged(log, column):
                step, value = course(log, column)
                x, y = thinned(step, running_mean(value))
                axes.plot(x, y, **look[name].marked(len(x)), linewidth=1.4, label=label(name))
        axes.set_title(PANELS[column])
        below, above = axes.get_ylim()
        axes.set_ylim(min(1.05 * below, 0), max(1.05 * above, 0))
        axes.grid(axis="y")
        count_steps(axes, ticks=4)
    for axes in panels.flat[len(measured) :]:
        axes.set_visible(False)
    drawing.supxlabel("optimiser steps", fontsize=10)
    handles = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    drawing.legend(handles.values(), handles.keys(), loc="outside right upper")
    return drawing
