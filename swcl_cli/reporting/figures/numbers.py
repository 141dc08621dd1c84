"""Draw predicted numbers, such as ages, against true ones: a panel for each initialisation."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Entry, shortened, summary
from swcl_cli.reporting.figures.strokes import initialisations, label, strokes
from swcl_cli.reporting.figures.style import NARROWEST, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.grouping import by_head, by_initialisation, file_name
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.percentages import OWN_UNIT, written
from swcl_cli.reporting.findings.splits import caution_of, shown_rows, split_word

PANELS_A_ROW = 3
SIDE = 2.7  # inches
AS_PIXELS = 1000  # points of a panel; more would weigh as lines on the page
MARGIN = 0.03  # of the range


def number_figures(contents: Contents) -> list[Figure]:
    """Make a figure for each task and label that is a number."""
    figures, order = [], initialisations(contents)
    for task, head, only, rows in by_head(shown_rows(contents.numbers), contents.classified):
        errors = (rows["predicted_number"] - rows["true_number"]).abs().groupby(rows["name"]).mean()
        entries = [
            Entry(name, float(errors[name]), f"mean absolute error {written(float(errors[name]), 'mae')}")
            for name, _ in by_initialisation(rows)
        ]
        name = title(head)
        figures.append(
            Figure(
                file_name("numbers", task, head, only),
                f"Predicted numbers in {title(task)}: {name}",
                f"Each point is a {split_word(rows)} photograph, or a patient where the label is of patients, in one "
                f"of the runs: {name} as it is, to the right, and as predicted, upwards, in {OWN_UNIT}. On the dotted "
                f"line both are equal.{caution_of(rows)}",
                shortened(f"Scatter plots of {title(task)}, {name}, predicted against true: {summary(entries)}."),
                partial(_draw, rows, name, order),
            )
        )
    return figures


def _draw(table: pd.DataFrame, name: str, order: list[str], theme: Theme) -> Drawing:
    parts = list(by_initialisation(table))
    columns = min(len(parts), PANELS_A_ROW)
    rows = math.ceil(len(parts) / columns)
    drawing = new_drawing(theme, max(SIDE * columns + 0.7, NARROWEST), (SIDE + 0.2) * rows + 0.4)
    panels = drawing.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    both = table[["true_number", "predicted_number"]].to_numpy(dtype=np.float64)
    least, most = float(both.min()), float(both.max())
    edge = MARGIN * (most - least)
    look = strokes(order, theme)
    for axes, (initialisation, part) in zip(panels.flat, parts, strict=False):
        axes.plot([least, most], [least, most], ":", color=theme.ink, linewidth=1)
        axes.plot(
            part["true_number"], part["predicted_number"], "o", color=look[initialisation].colour, markersize=3,
            alpha=0.5, markeredgewidth=0, rasterized=len(part) > AS_PIXELS,
        )  # fmt: skip
        axes.set_xlim(least - edge, most + edge)
        axes.set_ylim(least - edge, most + edge)
        axes.set_box_aspect(1)
        axes.grid()
        axes.set_axisbelow(True)
        axes.set_title(label(initialisation))
    for axes in panels.flat[len(parts) :]:
        axes.set_visible(False)
    drawing.supxlabel(f"{name}, true", fontsize=10)
    drawing.supylabel(f"{name}, predicted", fontsize=10)
    return drawing
