"""Draw figures of how the labeler and the encoders learn, from their logs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Entry, shortened, summary
from swcl_cli.reporting.figures.axes import BESIDE, band, beside_line, chance_line
from swcl_cli.reporting.figures.smoothing import course, draw_smoothed, is_logged
from swcl_cli.reporting.figures.strokes import Stroke, initialisations, label, pretraining_logs, strokes
from swcl_cli.reporting.figures.style import COLOURS, Drawing, Figure, Theme, new_drawing
from swcl_cli.workspace import LABELER, PRETRAIN, RunName

MOST_SINGLE = 3  # losses whose single steps are drawn; more hide each other


def labeler_learning(contents: Contents) -> Figure | None:
    """Make the figure of the loss of each step and the AUC of each epoch, with its interval."""
    log = contents.logs.get(RunName(LABELER))
    if log is None or "loss" not in log:
        return None
    last = f" Last AUC: {log['auc'].dropna().iloc[-1]:.3f}." if is_logged(log, "auc") else ""
    measured = ", and the AUC on the validation photographs after each epoch" if last else ""
    interval = f" with its 95 % interval{' (bar)' if len(course(log, 'auc')[0]) == 1 else ''}"
    return Figure(
        "labeler-curves",
        "Learning of the labeler",
        f"The training loss after each step{measured}{interval if last and is_logged(log, 'auc_low') else ''}.",
        f"Line charts of the labeler's loss and validation AUC.{last}",
        partial(_draw_labeler, log),
    )


def _draw_labeler(log: pd.DataFrame, theme: Theme) -> Drawing:
    drawing = new_drawing(theme, 7, 4.6)
    above, below = drawing.subplots(2, 1, sharex=True)
    draw_smoothed(above, log, "loss", Stroke(COLOURS[0], "-"), alone=True)
    above.grid(axis="y")
    above.set_title("training loss")
    step, auc = course(log, "auc")
    if len(step):
        if {"auc_low", "auc_high"} <= set(log):
            low, high = (log.loc[log["auc"].notna(), key].to_numpy(dtype=np.float64) for key in ("auc_low", "auc_high"))
            band(below, step, low, high, Stroke(COLOURS[1], "-"))
        below.plot(step, auc, "o-", color=COLOURS[1], markersize=3.5)
    chance_line(below, 0.5, theme)
    beside_line(below, 0.5, "chance")
    below.set_title("AUC on validation")
    below.set_xlabel("optimiser steps")
    return drawing


def pretraining_learning(contents: Contents) -> Figure | None:
    """Make the figure of the loss of each pretraining run; unfinished ones are named so."""
    unfinished = {work.run for work in contents.unfinished}
    logs = {name: log for name, log in pretraining_logs(contents).items() if len(course(log, "loss")[0])}
    if not logs:
        return None
    labels = {
        name: label(name) + (" (unfinished)" if RunName(PRETRAIN, name=name) in unfinished else "") for name in logs
    }
    ends = {name: course(log, "loss")[1][[0, -1]] for name, log in logs.items()}
    entries = [Entry(labels[name], last, f"{first:.2f} to {last:.2f}") for name, (first, last) in ends.items()]
    return Figure(
        "pretraining-curves",
        "Learning of the encoders",
        "The pretraining loss after each step, as a running average"
        + ("; the faint line is the step's own." if len(logs) <= MOST_SINGLE else ".")
        + (" Each method has a loss of its own: compare courses, not heights." if len(logs) > 1 else ""),
        shortened(f"Line chart of the pretraining loss. {summary(entries)}."),
        partial(_draw_pretraining, logs, labels, initialisations(contents)),
    )


def _draw_pretraining(
    logs: Mapping[str, pd.DataFrame], labels: Mapping[str, str], order: list[str], theme: Theme
) -> Drawing:
    drawing = new_drawing(theme, 8.2, 3.6)
    axes = drawing.subplots()
    look = strokes(order, theme)
    for name, log in logs.items():
        draw_smoothed(axes, log, "loss", look[name], labels[name], len(logs) <= MOST_SINGLE, len(logs) == 1)
    axes.set_ylabel("pretraining loss")
    axes.set_xlabel("optimiser steps")
    axes.grid(axis="y")
    axes.legend(**BESIDE)
    return drawing
