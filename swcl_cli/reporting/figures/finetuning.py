"""Learning curves of fine-tuning: a line a run where they are few, else an average and a band an initialisation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Told, shortened, summary
from swcl_cli.reporting.figures.learning import course, running_mean, smoothed
from swcl_cli.reporting.figures.strokes import initialisations, label, strokes
from swcl_cli.reporting.figures.style import Picture, Theme, new_figure
from swcl_cli.reporting.figures.thinning import Line
from swcl_cli.reporting.findings import names
from swcl_cli.reporting.findings.names import slug, title
from swcl_cli.reporting.tables.table import percent

MOST_LINES = 6
MOST_BANDS = 4  # more hide each other
POINTS = 200  # of an average, which is smooth
Logs = Mapping[str, Sequence[pd.DataFrame]]  # of the runs of each initialisation
Band = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def finetuning_curves(contents: Contents) -> list[Picture]:
    """A picture a task: the training loss, and the task's own measure on validation."""
    pictures, order = [], initialisations(contents)
    runs = contents.results[["task", "name", "run"]].drop_duplicates().sort_values(["task", "name", "run"])
    for task in names.in_paper_order(list(runs["task"]), names.TASKS):
        of_task = runs[runs["task"] == task]
        logs = {name: _logs(contents, task, name, list(of_task.loc[of_task["name"] == name, "run"])) for name in order}
        found = {name: several for name, several in logs.items() if several}
        if found:
            pictures.append(_picture(task, found, order))
    return pictures


def _logs(contents: Contents, task: str, name: str, runs: list[str]) -> list[pd.DataFrame]:
    found = [contents.logs.get(f"finetune-{task}-{name}-{run}") for run in runs]
    return [log for log in found if log is not None and "loss" in log]


def _picture(task: str, logs: Logs, order: list[str]) -> Picture:
    count = sum(len(several) for several in logs.values())
    if count <= MOST_LINES:
        how = "a line each run."
    else:
        band = " and the band between its lowest and highest" if len(logs) <= MOST_BANDS else ""
        how = f"the average of each initialisation's runs{band}, drawn as far as half of its runs go."
    best = {
        name: [float(log["validation"].max()) for log in several if "validation" in log]
        for name, several in logs.items()
    }
    told = [Told(name, float(np.mean(of)), f"{percent(float(np.mean(of)))} at best") for name, of in best.items() if of]
    measured = f" Measure on validation, percent: {summary(told)}." if told else ""
    return Picture(
        f"finetuning-{slug(task)}",
        f"Learning of {title(task)}",
        f"Training loss and the task's own measure on the validation photographs: {how}",
        shortened(
            f"Line charts of fine-tuning on {title(task)}, {count} runs of {len(logs)} initialisations.{measured}"
        ),
        partial(_draw, logs, order, count),
    )


def _draw(logs: Logs, order: list[str], count: int, theme: Theme) -> Figure:
    figure = new_figure(theme, 8.2, 5)
    above, below = figure.subplots(2, 1, sharex=True)
    look = strokes(order, theme)
    for name, several in logs.items():
        stroke = look[name]
        line = {"color": stroke.colour, "linestyle": stroke.dashes}
        if count <= MOST_LINES:
            for number, log in enumerate(several):
                smoothed(above, log, "loss", stroke, None if number else label(name))
                below.plot(*course(log, "validation"), marker="o", markersize=3, linewidth=1.2, **line)
            continue
        losses = [(x, running_mean(y)) for x, y in (course(log, "loss") for log in several)]
        for axes, lines in ((above, losses), (below, [course(log, "validation") for log in several])):
            x, middle, low, high = mean_band(lines)
            axes.plot(x, middle, linewidth=1.5, label=label(name) if axes is above else None, **line)
            if len(logs) <= MOST_BANDS:
                axes.fill_between(x, low, high, color=stroke.colour, alpha=0.15, linewidth=0)
    above.set_ylabel("training loss")
    below.set_ylabel("measure on validation")
    below.set_xlabel("optimiser steps")
    below.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    below.xaxis.set_major_formatter("{x:,.0f}")
    for axes in (above, below):
        axes.grid(axis="y")
    figure.legend(*above.get_legend_handles_labels(), loc="outside right upper")
    return figure


def mean_band(lines: Sequence[Line]) -> Band:
    """Where, and there the mean, lowest and highest of those lines that go so far; it ends where fewer than half do.

    Lines may have points at different places; between its points each is straight. (P,) each, P <= POINTS.
    """
    there = [line for line in lines if len(line[0])]
    if not there:
        return (np.empty(0),) * 4
    ends = sorted((float(x[-1]) for x, _ in there), reverse=True)
    end = ends[math.ceil(len(ends) / 2) - 1]
    places = np.unique(np.concatenate([x for x, _ in there]))
    places = places[places <= end]
    if len(places) > POINTS:
        places = places[np.unique(np.linspace(0, len(places) - 1, POINTS).astype(np.int64))]
    values = np.array([np.interp(places, x, y, left=np.nan, right=np.nan) for x, y in there])
    return places, np.nanmean(values, axis=0), np.nanmin(values, axis=0), np.nanmax(values, axis=0)
