"""Draw the figure of Table II: every run as a dot with its interval, and the mean of each initialisation."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Entry, shortened, summary
from swcl_cli.reporting.figures.strokes import initialisations, strokes
from swcl_cli.reporting.figures.style import Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.grouping import by_task
from swcl_cli.reporting.findings.names import ordered_initialisations, slug, title
from swcl_cli.reporting.findings.percentages import besides_percent, factor_of, unit_of, written
from swcl_cli.reporting.findings.scores import of_seeds, primary
from swcl_cli.reporting.findings.splits import TEST

MARGIN = 2  # points beside the lowest and the highest share
TALLEST = 13.0  # inches: 2,000 pixels
Parts = list[tuple[str, pd.DataFrame]]  # the runs of each task


def results_figures(contents: Contents) -> list[Figure]:
    """Make one figure for all tasks, or one each where that would be too tall."""
    runs = primary(contents.results, TEST)
    if runs.empty:
        return []
    tasks, order = list(by_task(runs)), initialisations(contents)
    shown = ordered_initialisations(runs["name"])
    if _height(tasks, shown) <= TALLEST:
        return [_figure("results", "Runs and averages", tasks, shown, order)]
    return [
        _figure(
            f"results-{slug(task)}",
            f"Runs and averages: {title(task)}",
            [(task, rows)],
            ordered_initialisations(rows["name"]),
            order,
        )
        for task, rows in tasks
    ]


def _height(tasks: Parts, shown: list[str]) -> float:
    return 0.9 + len(tasks) * (0.5 + 0.34 * len(shown))


def _figure(name: str, heading: str, tasks: Parts, shown: list[str], order: list[str]) -> Figure:
    averages = []
    besides = besides_percent(str(rows["measure"].iloc[0]) for _, rows in tasks)
    for task, rows in tasks:
        means = {str(name): float(of_seeds(of_name).mean()) for name, of_name in rows.groupby("name")}
        measure = str(rows["measure"].iloc[0])
        entries = [Entry(name, means[name], written(means[name], measure)) for name in shown if name in means]
        averages.append(f"{title(task)}: {summary(entries)}")
    return Figure(
        name,
        heading,
        "Each dot is one run with its 95 % interval over patients; the bar is the average of an initialisation's runs.",
        shortened(f"Dot chart of the test scores in percent{besides}. Averages: {'. '.join(averages)}."),
        partial(_draw, tasks, shown, order),
    )


def _draw(tasks: Parts, shown: list[str], order: list[str], theme: Theme) -> Drawing:
    drawing = new_drawing(theme, 7, _height(tasks, shown))
    look = strokes(order, theme)
    for axes, (task, of_task) in zip(drawing.subplots(len(tasks), 1, squeeze=False)[:, 0], tasks, strict=True):
        measure = str(of_task["measure"].iloc[0])
        factor = factor_of(measure)
        for place, name in enumerate(shown):
            rows = of_task[of_task["name"] == name].sort_values("run")
            if rows.empty:
                continue
            value = factor * rows["value"].to_numpy(dtype=np.float64)
            ends = factor * rows[["low", "high"]].to_numpy(dtype=np.float64)
            y = place + np.linspace(-0.26, 0.26, len(rows)) if len(rows) > 1 else np.array([float(place)])
            colour, many = look[name].colour, len(rows) > 5
            axes.hlines(y, ends[:, 0], ends[:, 1], color=colour, alpha=0.4 if many else 0.7, linewidth=1)
            axes.plot(value, y, "o", color=colour, markersize=2.5 if many else 4)
            axes.vlines(factor * of_seeds(rows).mean(), place - 0.38, place + 0.38, color=theme.ink, linewidth=1.8)
        axes.set_yticks(range(len(shown)), shown)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        spread = factor * of_task[["value", "low", "high"]].to_numpy(dtype=np.float64)
        least, most = np.nanmin(spread), np.nanmax(spread)
        margin = MARGIN if quality_of(measure).is_share else (most - least or abs(most)) / 20
        axes.set_xlim(least - margin, most + margin)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.set_title(f"{title(task)}: {title(measure)} on test, {unit_of(measure)}")
    return drawing
