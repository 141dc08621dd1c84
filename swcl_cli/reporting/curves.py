"""Learning curves of the labeler, the encoders and the fine-tuned models, from their logs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from swcl_cli.reporting import names
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.names import slug, title
from swcl_cli.reporting.style import COLOURS, Picture, Theme, new_figure

SMOOTHED_SHARE = 50  # a fiftieth of the steps is averaged
Curve = tuple[str, str, pd.DataFrame]  # label, colour, records


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
    _lines(above, [("loss", COLOURS[0], log)], "loss", smooth=True)
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
    logs = {name: log for name, log in contents.logs.items() if name.startswith("pretrain-") and "loss" in log}
    if not logs:
        return None
    curves = [
        (
            name.removeprefix("pretrain-") + (" (unfinished)" if name in unfinished else ""),
            COLOURS[place % len(COLOURS)],
            log,
        )
        for place, (name, log) in enumerate(logs.items())
    ]
    said = "; ".join(f"{label}: {log['loss'].iloc[0]:.2f} to {log['loss'].iloc[-1]:.2f}" for label, _, log in curves)
    return Picture(
        "pretraining-curves",
        "Learning of the encoders",
        "The pretraining loss after each step: the faint line is the step's own, the strong one its running average.",
        f"Line chart of the pretraining loss. {said}.",
        partial(_draw_pretraining, curves),
    )


def _draw_pretraining(curves: list[Curve], theme: Theme) -> Figure:
    figure = new_figure(theme, 7, 3.2)
    axes = figure.subplots()
    _lines(axes, curves, "loss", smooth=True)
    axes.set_title("pretraining loss")
    axes.set_xlabel("optimiser steps")
    axes.legend()
    return figure


def finetuning_curves(contents: Contents) -> list[Picture]:
    """A picture a task: loss and validation of each run."""
    pictures = []
    order = names.in_paper_order(list(contents.results["name"]), names.INITIALISATIONS)
    runs = contents.results[["task", "name", "run"]].drop_duplicates().sort_values(["task", "name", "run"])
    for task in names.in_paper_order(list(runs["task"]), names.TASKS):
        found = [
            (name, COLOURS[order.index(name) % len(COLOURS)], contents.logs[f"finetune-{task}-{name}-{run}"])
            for name, run in runs[runs["task"] == task][["name", "run"]].itertuples(index=False)
            if f"finetune-{task}-{name}-{run}" in contents.logs
        ]
        curves = [curve for curve in found if "loss" in curve[2]]
        said = ", ".join(sorted({label for label, _, _ in curves}))
        if curves:
            pictures.append(
                Picture(
                    f"finetuning-{slug(task)}",
                    f"Learning of {title(task)}",
                    "Training loss and the task's own measure on the validation photographs, a line each run.",
                    f"Line charts of fine-tuning on {title(task)}: {len(curves)} runs of {said}.",
                    partial(_draw_finetuning, curves),
                )
            )
    return pictures


def _draw_finetuning(curves: list[Curve], theme: Theme) -> Figure:
    figure = new_figure(theme, 7, 4.6)
    above, below = figure.subplots(2, 1, sharex=True)
    _lines(above, curves, "loss", smooth=True)
    _lines(below, curves, "validation", smooth=False)
    above.set_title("training loss")
    below.set_title("measure on validation")
    below.set_xlabel("optimiser steps")
    handles, labels = above.get_legend_handles_labels()
    single = dict(zip(labels, handles, strict=True))
    above.legend(single.values(), single.keys())
    return figure


def _lines(axes: Axes, curves: Iterable[Curve], column: str, smooth: bool) -> None:
    for label, colour, log in curves:
        if column not in log:
            continue
        records = log[log[column].notna()]
        step, value = records["step"].to_numpy() + 1, records[column].to_numpy(dtype=np.float64)
        if smooth:
            axes.plot(step, value, color=colour, alpha=0.25, linewidth=0.8)
            axes.plot(step, running_mean(value), color=colour, linewidth=1.6, label=label)
        else:
            axes.plot(step, value, "o-", color=colour, markersize=3, linewidth=1.2, label=label)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


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
