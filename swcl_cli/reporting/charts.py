"""Figures made of results: runs and averages, score distribution (Fig. 4), confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from swcl_cli.reporting import names
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.names import slug, title
from swcl_cli.reporting.results import primary
from swcl_cli.reporting.style import ABNORMAL, COLOURS, Picture, Theme, new_figure
from swcl_cli.reporting.swap_tables import THRESHOLDS, abnormal_counts
from swcl_cli.reporting.tables import percent

BINS = 50


def results_chart(contents: Contents) -> Picture | None:
    """Every run as a dot with its interval, and the mean of each initialisation."""
    runs = primary(contents.results, "test")
    if runs.empty:
        return None
    tasks = names.in_paper_order(list(runs["task"]), names.TASKS)
    order = names.in_paper_order(list(runs["name"]), names.INITIALISATIONS)
    means = runs.groupby(["task", "name"], as_index=False).agg({"value": "mean"})
    said = "; ".join(
        f"{title(row['task'])}, {row['name']}: {100 * row['value']:.1f}" for row in means.to_dict("records")
    )
    return Picture(
        "results",
        "Runs and averages",
        "Each dot is one run with its 95 % interval over patients; the bar is the average of an initialisation's runs.",
        f"Dot chart of the test scores in percent. Averages: {said}.",
        partial(_draw_results, runs, tasks, order),
    )


def _draw_results(runs: pd.DataFrame, tasks: list[str], order: list[str], theme: Theme) -> Figure:
    figure = new_figure(theme, 7, 0.9 + len(tasks) * (0.5 + 0.34 * len(order)))
    for axes, task in zip(figure.subplots(len(tasks), 1, squeeze=False)[:, 0], tasks, strict=True):
        of_task = runs[runs["task"] == task]
        for place, name in enumerate(order):
            rows = of_task[of_task["name"] == name].sort_values("run")
            if rows.empty:
                continue
            value = 100 * rows["value"].to_numpy(dtype=np.float64)
            ends = 100 * rows[["low", "high"]].to_numpy(dtype=np.float64)
            y = place + np.linspace(-0.22, 0.22, len(rows)) if len(rows) > 1 else np.array([float(place)])
            colour = COLOURS[place % len(COLOURS)]
            axes.hlines(y, ends[:, 0], ends[:, 1], color=colour, alpha=0.7, linewidth=1.2)
            axes.plot(value, y, "o", color=colour, markersize=4.5)
            axes.vlines(value.mean(), place - 0.36, place + 0.36, color=theme.ink, linewidth=1.6)
        axes.set_yticks(range(len(order)), order)
        axes.set_ylim(len(order) - 0.5, -0.5)
        shown = 100 * of_task[["value", "low", "high"]].to_numpy(dtype=np.float64)
        axes.set_xlim(np.nanmin(shown) - 2, np.nanmax(shown) + 2)
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
    """A picture a task: a matrix for each initialisation and head, over all of its runs on test."""
    table = contents.classified[contents.classified["split"] == "test"]
    pictures = []
    for task in names.in_paper_order(list(table["task"]), names.TASKS):
        of_task = table[table["task"] == task]
        order = names.in_paper_order(list(of_task["name"]), names.INITIALISATIONS)
        heads = list(of_task["head"].unique())
        right = of_task.assign(right=of_task["truth"] == of_task["prediction"])
        shares = right.groupby(["name", "head"], as_index=False).agg({"right": "mean"}).to_dict("records")
        said = "; ".join(f"{row['name']}, {title(row['head'])}: {100 * row['right']:.1f} % right" for row in shares)
        pictures.append(
            Picture(
                f"confusion-{slug(task)}",
                f"Confusions in {title(task)}",
                "Rows are true classes, columns predicted ones; numbers count test photographs over all runs, shades "
                "are shares of a row.",
                f"Confusion matrices of {title(task)}. {said}.",
                partial(_draw_confusions, of_task, order, heads),
            )
        )
    return pictures


def confusion(truth: NDArray[np.int64], prediction: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts: rows the true class, columns the predicted one."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (truth, prediction), 1)
    return counts


def _draw_confusions(table: pd.DataFrame, order: list[str], heads: list[str], theme: Theme) -> Figure:
    figure = new_figure(theme, 7, 0.3 + 2.9 * len(order))
    panels = figure.subplots(len(order), len(heads), squeeze=False)
    for row, name in zip(panels, order, strict=True):
        for axes, head in zip(row, heads, strict=True):
            of_head = table[table["head"] == head]
            part = of_head[of_head["name"] == name]
            classes = int(of_head[["truth", "prediction"]].to_numpy().max()) + 1
            counts = confusion(
                part["truth"].to_numpy(dtype=np.int64), part["prediction"].to_numpy(dtype=np.int64), classes
            )
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
            for (truth, prediction), number in np.ndenumerate(counts):
                ink = "white" if shares[truth, prediction] > 0.55 else "#1b1f24"
                axes.text(prediction, truth, f"{number:,}", ha="center", va="center", color=ink)
            axes.set_xticks(range(classes))
            axes.set_yticks(range(classes))
            axes.set_xlabel("predicted")
            axes.set_ylabel("true")
            axes.set_title(f"{name}: {title(head)}")
    return figure
