"""Draw confusion matrices of the classification tasks: one for each initialisation, over all of its runs."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.labels import Label
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Entry, shortened, summary
from swcl_cli.reporting.figures.strokes import label
from swcl_cli.reporting.figures.style import NARROWEST, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.differences import dataset_of
from swcl_cli.reporting.findings.grouping import by_head, by_initialisation, file_name
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.percentages import percent
from swcl_cli.reporting.findings.questions import class_of, units
from swcl_cli.reporting.findings.splits import caution_of, shown_rows, split_word

ON_DARK, ON_LIGHT = "#fefefe", "#111111"  # not the themes' own, which change on dark paper: a cell's colour does not
WIDTH, MATRICES_A_ROW = 9.0, 4
Counts = NDArray[np.int64]


def confusion_matrices(contents: Contents) -> list[Figure]:
    """Make a figure for each task and label."""
    figures = []
    for task, head, only, rows in by_head(shown_rows(contents.classified), contents.numbers):
        right = (rows["truth"] == rows["prediction"]).groupby(rows["name"]).mean().to_dict()
        own = contents.labels.get((task, head))
        entries = [Entry(name, right[name], f"{percent(right[name])} % right") for name, _ in by_initialisation(rows)]
        figures.append(
            Figure(
                file_name("confusion", task, head, only),
                f"Confusions in {title(task)}: {title(head)}",
                f"Rows are true classes, columns predicted ones; numbers count {split_word(rows)} {units(own)} over "
                f"all runs, shades are shares of a row.{caution_of(rows)}",
                shortened(f"Confusion matrices of {title(task)}, {title(head)}: {summary(entries)}."),
                partial(_draw, rows, task, head, own, dataset_of(contents, task)),
            )
        )
    return figures


def confusion(truth: Counts, prediction: Counts, classes: int) -> Counts:
    """Count (classes, classes) pairs: rows the true class, columns the predicted one."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, prediction), 1)
    return counts


def _draw(table: pd.DataFrame, task: str, head: str, own: Label | None, dataset: str, theme: Theme) -> Drawing:
    classes = own.classes if own else int(table[["truth", "prediction"]].to_numpy().max()) + 1
    names = [class_of(task, head, number, own, dataset) for number in range(classes)]
    parts = list(by_initialisation(table))
    columns = min(len(parts), MATRICES_A_ROW)
    rows = math.ceil(len(parts) / columns)
    side = WIDTH / MATRICES_A_ROW
    drawing = new_drawing(theme, max(side * columns + 0.5, NARROWEST), 0.5 + rows * (side + 0.1))
    panels = drawing.subplots(rows, columns, squeeze=False)
    for axes, (name, part) in zip(panels.flat, parts, strict=False):
        counts = confusion(part["truth"].to_numpy(np.int64), part["prediction"].to_numpy(np.int64), classes)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        edges = np.arange(classes + 1) - 0.5
        axes.pcolormesh(edges, edges, shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        for (truth, prediction), number in np.ndenumerate(counts):
            ink = ON_DARK if shares[truth, prediction] > 0.55 else ON_LIGHT
            axes.text(prediction, truth, f"{number:,}", ha="center", va="center", color=ink, fontsize=_size(counts))
        axes.set_xticks(range(classes), names, rotation=0 if all(map(str.isdigit, names)) else 90)
        axes.set_yticks(range(classes), names)
        axes.set_title(label(name))
    for axes in panels.flat[len(parts) :]:
        axes.set_visible(False)
    drawing.supxlabel("predicted", fontsize=10)
    drawing.supylabel("true", fontsize=10)
    return drawing


def _size(counts: Counts) -> float:
    """Return the size of the font in points, so that the largest number fits into its cell."""
    letters = max(len(f"{number:,}") for number in counts.flat)
    return float(np.clip(72 * 0.8 * WIDTH / MATRICES_A_ROW / len(counts) / letters / 0.65, 5, 10))
