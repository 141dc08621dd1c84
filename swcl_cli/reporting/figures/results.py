"""Figures made of results: runs and averages, score distribution (Fig. 4), confusion matrices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Told, shortened, summary
from swcl_cli.reporting.figures.strokes import initialisations, label, strokes
from swcl_cli.reporting.figures.style import ABNORMAL, COLOURS, Picture, Theme, new_figure
from swcl_cli.reporting.findings import names
from swcl_cli.reporting.findings.judged import caution_of, judged, kind_of
from swcl_cli.reporting.findings.names import slug, title
from swcl_cli.reporting.findings.questions import grade_of
from swcl_cli.reporting.tables.patches import THRESHOLDS, abnormal_counts
from swcl_cli.reporting.tables.results import primary
from swcl_cli.reporting.tables.table import percent

BINS = 50
ON_DARK, ON_LIGHT = "#fefefe", "#111111"  # not the themes' own, which change on dark paper: a cell's colour does not
TALLEST = 13.0  # inches: 2,000 pixels
WIDTH, MATRICES_A_ROW = 9.0, 4


def results_charts(contents: Contents) -> list[Picture]:
    """Every run as a dot with its interval, and the mean of each initialisation. A picture a task where one would be
    too tall.
    """
    runs = primary(contents.results, "test")
    if runs.empty:
        return []
    tasks = names.in_paper_order(list(runs["task"]), names.TASKS)
    order = initialisations(contents)
    shown = names.in_paper_order(list(runs["name"]), names.INITIALISATIONS)
    if _height(tasks, shown) <= TALLEST:
        return [_results_picture("results", "Runs and averages", runs, tasks, shown, order)]
    return [
        _results_picture(f"results-{slug(task)}", f"Runs and averages: {title(task)}", runs, [task], shown, order)
        for task in tasks
    ]


def _height(tasks: list[str], shown: list[str]) -> float:
    return 0.9 + len(tasks) * (0.5 + 0.34 * len(shown))


def _results_picture(
    name: str, title_: str, runs: pd.DataFrame, tasks: list[str], shown: list[str], order: list[str]
) -> Picture:
    said = []
    for task in tasks:
        of_task = runs[runs["task"] == task]
        means = of_task.groupby("name")["value"].mean().to_dict()
        told = [Told(one, means[one], percent(means[one])) for one in shown if one in means]
        said.append(f"{title(task)}: {summary(told)}")
    return Picture(
        name,
        title_,
        "Each dot is one run with its 95 % interval over patients; the bar is the average of an initialisation's runs.",
        shortened(f"Dot chart of the test scores in percent. Averages: {'. '.join(said)}."),
        partial(_draw_results, runs, tasks, shown, order),
    )


def _draw_results(runs: pd.DataFrame, tasks: list[str], shown: list[str], order: list[str], theme: Theme) -> Figure:
    figure = new_figure(theme, 7, _height(tasks, shown))
    look = strokes(order, theme)
    for axes, task in zip(figure.subplots(len(tasks), 1, squeeze=False)[:, 0], tasks, strict=True):
        of_task = runs[runs["task"] == task]
        for place, name in enumerate(shown):
            rows = of_task[of_task["name"] == name].sort_values("run")
            if rows.empty:
                continue
            value = 100 * rows["value"].to_numpy(dtype=np.float64)
            ends = 100 * rows[["low", "high"]].to_numpy(dtype=np.float64)
            y = place + np.linspace(-0.26, 0.26, len(rows)) if len(rows) > 1 else np.array([float(place)])
            colour, many = look[name].colour, len(rows) > 5
            axes.hlines(y, ends[:, 0], ends[:, 1], color=colour, alpha=0.4 if many else 0.7, linewidth=1)
            axes.plot(value, y, "o", color=colour, markersize=2.5 if many else 4)
            axes.vlines(value.mean(), place - 0.38, place + 0.38, color=theme.ink, linewidth=1.8)
        axes.set_yticks(range(len(shown)), shown)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        spread = 100 * of_task[["value", "low", "high"]].to_numpy(dtype=np.float64)
        axes.set_xlim(np.nanmin(spread) - 2, np.nanmax(spread) + 2)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.set_title(f"{title(task)}: {title(str(of_task['measure'].iloc[0]))} on test, percent")
    return figure


def score_histogram(contents: Contents) -> Picture | None:
    """Fig. 4: lesion scores of photographs with and without an image label, with t marked."""
    if contents.patches is None or contents.swap is None or contents.patches.empty:
        return None
    threshold = float(contents.swap.settings["threshold"])
    score = contents.patches["score"].to_numpy(dtype=np.float64)
    truth = contents.patches["image_abnormal"]
    known = truth.notna().to_numpy(dtype=bool)
    normal = known & (truth.fillna(True) == False).to_numpy(dtype=bool)  # noqa: E712
    groups = {
        "no image label": score[~known],
        "labelled abnormal": score[known & ~normal],
        "labelled normal (score set to 0)": score[normal],
    }
    kept = {name: values for name, values in groups.items() if len(values)}
    said = "; ".join(f"{name}: {len(v):,} patches, median {np.median(v):.2f}" for name, v in kept.items())
    abnormal = abnormal_counts(contents.patches["score"], THRESHOLDS)
    counted = ", ".join(
        f"{number:,} ({percent(number / len(score))} %) at t = {t:g}"
        for t, number in zip(THRESHOLDS, abnormal, strict=True)
    )
    return Picture(
        "lesion-scores",
        "Distribution of lesion scores",
        f"How the lesion scores of all patches are distributed; from t = {threshold:g} on, a patch counts as abnormal. "
        f"Of {len(score):,} patches, abnormal are {counted}.",
        f"Histograms of lesion scores from 0 to 1, t = {threshold:g} marked. {said}. Abnormal: {counted}.",
        partial(_draw_histogram, kept, threshold),
    )


def _draw_histogram(groups: Mapping[str, NDArray[np.float64]], threshold: float, theme: Theme) -> Figure:
    figure = new_figure(theme, 7, 0.8 + 1.45 * len(groups))
    edges = np.linspace(0, 1, BINS + 1)
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(panels, groups.items(), strict=True):
        counts, _ = np.histogram(values, edges)
        colours = [ABNORMAL if edge >= threshold - 1e-9 else COLOURS[0] for edge in edges[:-1]]
        axes.bar(edges[:-1], 100 * counts / len(values), np.diff(edges), align="edge", color=colours)
        axes.axvline(threshold, color=theme.ink, linestyle="--", linewidth=1.2)
        axes.set_title(f"{name}: {len(values):,} patches")
        axes.set_ylabel("percent")
        axes.set_xlim(0, 1)
    panels[-1].set_xlabel(f"lesion score of the patch; dashed: t = {threshold:g}")
    return figure


def confusion_matrices(contents: Contents) -> list[Picture]:
    """A picture a task and label: a matrix for each initialisation, over all of its runs."""
    table, pictures = judged(contents.classified), []
    for task in names.in_paper_order(list(table["task"]), names.TASKS):
        of_task = table[table["task"] == task]
        heads = list(of_task["head"].unique())
        for head in heads:
            rows = of_task[of_task["head"] == head]
            order = names.in_paper_order(list(rows["name"]), names.INITIALISATIONS)
            right = (rows["truth"] == rows["prediction"]).groupby(rows["name"]).mean().to_dict()
            told = [Told(name, right[name], f"{percent(right[name])} % right") for name in order]
            pictures.append(
                Picture(
                    f"confusion-{slug(task)}-{slug(head)}" if len(heads) > 1 else f"confusion-{slug(task)}",
                    f"Confusions in {title(task)}: {title(head)}",
                    f"Rows are true classes, columns predicted ones; numbers count {kind_of(rows)} photographs over "
                    f"all runs, shades are shares of a row.{caution_of(rows)}",
                    shortened(f"Confusion matrices of {title(task)}, {title(head)}: {summary(told)}."),
                    partial(_draw_confusions, rows, order),
                )
            )
    return pictures


def confusion(truth: NDArray[np.int64], prediction: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts: rows the true class, columns the predicted one."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, prediction), 1)
    return counts


def _draw_confusions(table: pd.DataFrame, order: list[str], theme: Theme) -> Figure:
    classes = int(table[["truth", "prediction"]].to_numpy().max()) + 1
    task, head = str(table["task"].iloc[0]), str(table["head"].iloc[0])
    grades = [grade_of(task, head, found) for found in range(classes)]
    columns = min(len(order), MATRICES_A_ROW)
    rows = math.ceil(len(order) / columns)
    side = WIDTH / MATRICES_A_ROW
    figure = new_figure(theme, side * columns + 0.5, 0.5 + rows * (side + 0.1))
    panels = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(panels.flat):
        if place >= len(order):
            axes.set_visible(False)
            continue
        part = table[table["name"] == order[place]]
        counts = confusion(part["truth"].to_numpy(np.int64), part["prediction"].to_numpy(np.int64), classes)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (truth, prediction), number in np.ndenumerate(counts):
            ink = ON_DARK if shares[truth, prediction] > 0.55 else ON_LIGHT
            axes.text(prediction, truth, f"{number:,}", ha="center", va="center", color=ink, fontsize=_size(counts))
        axes.set_xticks(range(classes), grades)
        axes.set_yticks(range(classes), grades)
        axes.set_title(label(order[place]))
    figure.supxlabel("predicted", fontsize=10)
    figure.supylabel("true", fontsize=10)
    return figure


def _size(counts: NDArray[np.int64]) -> float:
    """Of the font, in points: so that the largest number fits into its cell."""
    letters = max(len(f"{number:,}") for number in counts.flat)
    return float(np.clip(72 * 0.8 * WIDTH / MATRICES_A_ROW / len(counts) / letters / 0.65, 5, 10))
