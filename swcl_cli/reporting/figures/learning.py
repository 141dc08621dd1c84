"""Learning curves of the labeler and the encoders, from their logs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Told, shortened, summary
from swcl_cli.reporting.figures.strokes import BESIDE, Stroke, initialisations, label, strokes
from swcl_cli.reporting.figures.style import COLOURS, Picture, Theme, new_figure
from swcl_cli.reporting.figures.thinning import Line, thinned

MOST_SINGLE = 3  # losses whose single steps are drawn; more hide each other
NOTHING = pd.DataFrame()
SMOOTHED_SHARE = 50  # a fiftieth of the steps is averaged


def labeler_curves(contents: Contents) -> Picture | None:
    """Loss a step and AUC an epoch, with its interval."""
    log = contents.logs.get("train-labeler")
    if log is None or "loss" not in log:
        return None
    last = log["auc"].dropna().iloc[-1] if "auc" in log and log["auc"].notna().any() else None
    return Picture(
        "labeler-curves",
        "Learning of the labeler",
        "The training loss after each step, and the AUC on the validation photographs after each epoch with its 95 % "
        "interval.",
        "Line charts of the labeler's loss and validation AUC."
        + (f" Last AUC: {last:.3f}." if last is not None else ""),
        partial(_draw_labeler, log),
    )


def _draw_labeler(log: pd.DataFrame, theme: Theme) -> Figure:
    figure = new_figure(theme, 7, 4.6)
    above, below = figure.subplots(2, 1, sharex=True)
    smoothed(above, log, "loss", Stroke(COLOURS[0], "-"))
    above.grid(axis="y")
    above.set_title("training loss")
    measured = log[log["auc"].notna()] if "auc" in log else log[:0]
    if len(measured):
        step = measured["step"].to_numpy() + 1
        if {"auc_low", "auc_high"} <= set(measured):
            low, high = (measured[key].to_numpy(dtype=np.float64) for key in ("auc_low", "auc_high"))
            below.fill_between(step, low, high, color=COLOURS[1], alpha=0.2, linewidth=0)
        below.plot(step, measured["auc"].to_numpy(), "o-", color=COLOURS[1], markersize=3.5)
    below.axhline(0.5, color=theme.ink, linestyle=":", linewidth=1)
    below.annotate("chance", (0, 0.5), (4, 3), xycoords=("axes fraction", "data"), textcoords="offset points")
    below.set_title("AUC on validation")
    below.set_xlabel("optimiser steps")
    return figure


def pretraining_curves(contents: Contents) -> Picture | None:
    """Loss of each pretraining run; unfinished ones are named so."""
    unfinished = {run.name for run in contents.unfinished}
    order = initialisations(contents)
    logs = {
        name: contents.logs[f"pretrain-{name}"]
        for name in order
        if len(course(contents.logs.get(f"pretrain-{name}", NOTHING), "loss")[0])
    }
    if not logs:
        return None
    labels = {name: label(name) + (" (unfinished)" if f"pretrain-{name}" in unfinished else "") for name in logs}
    ends = {name: log["loss"].dropna().to_numpy(dtype=np.float64)[[0, -1]] for name, log in logs.items()}
    told = [Told(labels[name], last, f"{first:.2f} to {last:.2f}") for name, (first, last) in ends.items()]
    several = len(logs) > 1
    return Picture(
        "pretraining-curves",
        "Learning of the encoders",
        "The pretraining loss after each step, as a running average"
        + ("; the faint line is the step's own." if len(logs) <= MOST_SINGLE else ".")
        + (" Each method has a loss of its own: compare courses, not heights." if several else ""),
        shortened(f"Line chart of the pretraining loss. {summary(told)}."),
        partial(_draw_pretraining, logs, labels, order),
    )


def _draw_pretraining(
    logs: Mapping[str, pd.DataFrame], labels: Mapping[str, str], order: list[str], theme: Theme
) -> Figure:
    figure = new_figure(theme, 8.2, 3.6)
    axes = figure.subplots()
    look = strokes(order, theme)
    for name, log in logs.items():
        smoothed(axes, log, "loss", look[name], labels[name], single=len(logs) <= MOST_SINGLE)
    axes.set_ylabel("pretraining loss")
    axes.set_xlabel("optimiser steps")
    axes.grid(axis="y")
    axes.legend(**BESIDE)
    return figure


def smoothed(
    axes: Axes, log: pd.DataFrame, column: str, stroke: Stroke, name: str | None = None, single: bool = True
) -> None:
    """The running mean; and, behind it, each step's single value as a faint line."""
    step, value = course(log, column)
    if single:
        axes.plot(*thinned(step, value), color=stroke.colour, alpha=0.25, linewidth=0.8)
    axes.plot(
        *thinned(step, running_mean(value)), color=stroke.colour, linestyle=stroke.dashes, linewidth=1.6, label=name
    )
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def course(log: pd.DataFrame, column: str) -> Line:
    """Steps done, and what was measured after each of them; none where the log has no such column."""
    if column not in log:
        return np.empty(0), np.empty(0)
    records = log[log[column].notna()]
    return records["step"].to_numpy(dtype=np.float64) + 1, records[column].to_numpy(dtype=np.float64)


def running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the last fiftieth of the values up to each one, (N,) -> (N,)."""
    if not len(values):
        return values
    window = max(len(values) // SMOOTHED_SHARE, 1)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    means: NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return means
