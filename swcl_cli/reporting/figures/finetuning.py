"""Draw how fine-tunings learn: a line a run where they are few, else an average and a band an initialisation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Entry, shortened, summary
from swcl_cli.reporting.figures.axes import band, count_steps
from swcl_cli.reporting.figures.smoothing import course, draw_smoothed, running_mean
from swcl_cli.reporting.figures.strokes import initialisations, label, strokes
from swcl_cli.reporting.figures.style import Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.figures.thinning import Line
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.grouping import by_initialisation, by_task
from swcl_cli.reporting.findings.names import slug, title
from swcl_cli.reporting.findings.percentages import unit_of, written
from swcl_cli.workspace import FINETUNE, RunName

MOST_LINES = 6
MOST_BANDS = 4  # more hide each other
POINTS = 200  # of an average, which is smooth
Logs = Mapping[str, Sequence[pd.DataFrame]]  # of the runs of each initialisation
Band = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def finetuning_learning(contents: Contents) -> list[Figure]:
    """Make a figure for each task: the training loss, and the task's own measure on validation."""
    figures, order = [], initialisations(contents)
    runs = contents.results[["task", "name", "run"]].drop_duplicates().sort_values(["task", "name", "run"])
    for task, of_task in by_task(runs):
        logs = {name: _logs(contents, task, name, rows["run"]) for name, rows in by_initialisation(of_task)}
        logged = {name: of_runs for name, of_runs in logs.items() if of_runs}
        if logged:
            measure = contents.results[(contents.results["task"] == task) & contents.results["primary"].astype(bool)]
            name = str(measure["measure"].iloc[0]) if len(measure) else ""
            figures.append(_figure(task, name, logged, order))
    return figures


def _logs(contents: Contents, task: str, name: str, runs: pd.Series) -> list[pd.DataFrame]:
    logs = [contents.logs.get(RunName(FINETUNE, task, name, run)) for run in runs]
    return [log for log in logs if log is not None and "loss" in log]


def _figure(task: str, measure: str, logs: Logs, order: list[str]) -> Figure:
    count = sum(len(of_runs) for of_runs in logs.values())
    if count <= MOST_LINES:
        how = "a line each run."
    else:
        several = any(len(of_runs) > 1 for of_runs in logs.values())
        between = ", of several runs with the band (of one epoch: a bar) between lowest and highest"
        how = (
            f"the average of each initialisation's runs{between if several and len(logs) <= MOST_BANDS else ''}, drawn "
            "as far as half of its runs go."
        )
    best_of = "min" if quality_of(measure).lower else "max"
    best = {
        name: [float(getattr(log["validation"], best_of)()) for log in of_runs if "validation" in log]
        for name, of_runs in logs.items()
    }
    means = {name: float(np.mean(values)) for name, values in best.items() if values}
    entries = [Entry(name, mean, f"{written(mean, measure)} at best") for name, mean in means.items()]
    measured = f" Measure on validation, {unit_of(measure)}: {summary(entries)}." if entries else ""
    return Figure(
        f"finetuning-{slug(task)}",
        f"Learning of {title(task)}",
        f"Training loss and the task's own measure on the validation photographs: {how}",
        shortened(
            f"Line charts of fine-tuning on {title(task)}, {counted(count, 'runs')} of "
            f"{counted(len(logs), 'initialisations')}.{measured}"
        ),
        partial(_draw, logs, order, count),
    )


def _draw(logs: Logs, order: list[str], count: int, theme: Theme) -> Drawing:
    drawing = new_drawing(theme, 8.2, 5)
    above, below = drawing.subplots(2, 1, sharex=True)
    look = strokes(order, theme)
    for name, of_runs in logs.items():
        stroke = look[name]
        measures = [course(log, "validation") for log in of_runs]
        if count <= MOST_LINES:
            for number, (log, measure) in enumerate(zip(of_runs, measures, strict=True)):
                draw_smoothed(above, log, "loss", stroke, None if number else label(name))
                below.plot(*measure, marker=stroke.marker, markersize=4, linewidth=1.2, **stroke.line)
            continue
        losses = [(x, running_mean(y)) for x, y in (course(log, "loss") for log in of_runs)]
        for axes, lines in ((above, losses), (below, measures)):
            x, middle, low, high = mean_band(lines)
            words = label(name) if axes is above else None
            axes.plot(x, middle, linewidth=1.5, label=words, **stroke.marked(len(x)))
            if len(logs) <= MOST_BANDS:
                band(axes, x, low, high, stroke)
    above.set_ylabel("training loss")
    below.set_ylabel("measure on validation")
    below.set_xlabel("optimiser steps")
    count_steps(below)
    for axes in (above, below):
        axes.grid(axis="y")
    drawing.legend(*above.get_legend_handles_labels(), loc="outside right upper")
    return drawing


def mean_band(lines: Sequence[Line]) -> Band:
    """Where, and there the mean, lowest and highest of those lines that go so far; it ends where fewer than half do.

    Lines may have points at different places; between its points each is straight. (P,) each, P <= POINTS.
    """
    drawn = [line for line in lines if len(line[0])]
    if not drawn:
        return (np.empty(0),) * 4
    ends = sorted((float(x[-1]) for x, _ in drawn), reverse=True)
    end = ends[math.ceil(len(ends) / 2) - 1]
    places = np.unique(np.concatenate([x for x, _ in drawn]))
    places = places[places <= end]
    if len(places) > POINTS:
        places = places[np.unique(np.linspace(0, len(places) - 1, POINTS).astype(np.int64))]
    values = np.array([np.interp(places, x, y, left=np.nan, right=np.nan) for x, y in drawn])
    return places, np.nanmean(values, axis=0), np.nanmin(values, axis=0), np.nanmax(values, axis=0)
