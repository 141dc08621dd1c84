"""Figures of encoders in training: the k-NN probe, and how their embeddings lie."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Told, shortened, summary
from swcl_cli.reporting.figures.learning import running_mean
from swcl_cli.reporting.figures.strokes import BESIDE, initialisations, label, strokes
from swcl_cli.reporting.figures.style import Picture, Theme, new_figure
from swcl_cli.reporting.figures.thinning import thinned
from swcl_cli.reporting.tables.table import percent

PROBED = ("knn_auc", "knn_low", "knn_high")
HEALTH = {  # column of the log -> title of its panel
    "embedding_spread": "spread (0: collapsed)",
    "alignment": "distance of positives",
    "uniformity": "uniformity (0: collapsed)",
    "positives": "positives of a view",
}
MOST_BANDS = 4  # more would hide each other
VIEWS_AN_ITEM = 2  # of each patch or photograph of a batch
MILLION, THOUSAND = 1_000_000, 1_000
Course = tuple[NDArray[np.float64], pd.DataFrame]  # where each record stands on the x axis, and the records


def probe_chart(contents: Contents) -> Picture | None:
    """AUC of nearest neighbours' votes in the course of each pretraining, with its interval."""
    logs = {
        name: log[log["knn_auc"].notna()]
        for name, log in _logs(contents).items()
        if set(PROBED) <= set(log) and log["knn_auc"].notna().any()
    }
    if not logs:
        return None
    batches = {name: _views_a_step(contents, name) for name in logs}
    in_views = all(batches.values())
    courses = {name: (_place(log, batches[name] if in_views else 1), log) for name, log in logs.items()}
    last = {name: float(log["knn_auc"].iloc[-1]) for name, log in logs.items()}
    told = [Told(name, value, f"{percent(value)} at last") for name, value in last.items()]
    width = float(np.mean([(log["knn_high"] - log["knn_low"]).iloc[-1] / 2 for log in logs.values()]))
    bands = "the bands are" if len(logs) <= MOST_BANDS else f"not shown: about ±{percent(width)} points, the width of"
    return Picture(
        "probe",
        "k-nearest-neighbour probe of the encoders",
        "Whether photographs with and without disease already lie apart, without any head: training photographs vote "
        f"on validation ones. AUC in percent; {bands} the 95 % intervals over patients. This shows the course of "
        "pretraining and is no score on new photographs: by default SWCL and the multi-task baseline train on patches "
        "of the probed photographs, weakly labelled with the help of their labels, and SimCLR, BYOL and DINO on the "
        "photographs themselves, without any.",
        shortened(f"Line chart of the k-NN AUC in percent; 50 is chance. {summary(told)}."),
        partial(_draw_probe, courses, initialisations(contents), in_views),
    )


def _logs(contents: Contents) -> dict[str, pd.DataFrame]:
    """Those of pretraining, by the encoder's name, in the paper's order."""
    logs = contents.logs
    return {name: logs[f"pretrain-{name}"] for name in initialisations(contents) if f"pretrain-{name}" in logs}


def _views_a_step(contents: Contents, name: str) -> int:
    """0 where it is not known: the encoder is not there yet."""
    settings = contents.encoders[name].settings if name in contents.encoders else {}
    return VIEWS_AN_ITEM * int(settings.get("batch_patches") or settings.get("batch_images") or 0)


def _place(log: pd.DataFrame, views: int) -> NDArray[np.float64]:
    done: NDArray[np.float64] = log["step"].to_numpy(dtype=np.float64) + 1
    return views * done


def _draw_probe(courses: Mapping[str, Course], order: list[str], in_views: bool, theme: Theme) -> Figure:
    figure = new_figure(theme, 8.2, 4)
    axes = figure.subplots()
    look = strokes(order, theme)
    farthest = max(float(x.max()) for x, _ in courses.values())
    unit, words = (MILLION, "million views") if farthest >= MILLION else (THOUSAND, "thousand views")
    unit, words = (unit, f"{words} seen") if in_views else (1, "optimiser steps")
    for name, (place, log) in courses.items():
        x, (middle, low, high) = place / unit, (100 * log[key].to_numpy(dtype=np.float64) for key in PROBED)
        colour, dashes = look[name].colour, look[name].dashes
        axes.plot(x, middle, "o", color=colour, linestyle=dashes, markersize=3.5, linewidth=1.5, label=label(name))
        if len(courses) <= MOST_BANDS:
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(50, color=theme.ink, linestyle=":", linewidth=1)
    axes.annotate("chance", (0, 50), (4, 3), xycoords=("axes fraction", "data"), textcoords="offset points")
    axes.set_xlim(left=0)
    axes.set_xlabel(words)
    axes.set_ylabel("k-NN AUC, percent")
    axes.grid(axis="y")
    axes.legend(**BESIDE)
    return figure


def health_chart(contents: Contents) -> Picture | None:
    """How embeddings lie in the course of each pretraining, a panel a measure."""
    logs = _logs(contents)
    measured = [column for column in HEALTH if any(_has(log, column) for log in logs.values())]
    if not measured:
        return None
    spreads = {name: float(log[measured[0]].dropna().iloc[-1]) for name, log in logs.items() if _has(log, measured[0])}
    told = [Told(name, value, f"{value:.2f}") for name, value in spreads.items()]
    return Picture(
        "embeddings",
        "How the embeddings lie in training",
        "Running averages over the batches of each pretraining. An encoder that puts all photographs in one place has "
        "collapsed and tells nothing apart: its spread is 0, that of evenly spread ones 1. A good one brings positives "
        "together and spreads all others. Distance of positives and uniformity are those of Wang and Isola (2020); "
        "evenly spread embeddings have a uniformity of about -4.",
        shortened(f"Line charts. {HEALTH[measured[0]].capitalize()}; at last: {summary(told)}."),
        partial(_draw_health, logs, measured, initialisations(contents)),
    )


def _has(log: pd.DataFrame, column: str) -> bool:
    return column in log and bool(log[column].notna().any())


def _draw_health(logs: Mapping[str, pd.DataFrame], measured: list[str], order: list[str], theme: Theme) -> Figure:
    rows = (len(measured) + 1) // 2
    figure = new_figure(theme, 8.2, 0.7 + 2.1 * rows)
    panels = figure.subplots(rows, 2, squeeze=False)
    look = strokes(order, theme)
    for axes, column in zip(panels.flat, measured, strict=False):
        for name, log in logs.items():
            if _has(log, column):
                _course(axes, log[log[column].notna()], column, look[name].colour, look[name].dashes, label(name))
        axes.set_title(HEALTH[column])
        below, above = axes.get_ylim()
        axes.set_ylim(min(1.05 * below, 0), max(1.05 * above, 0))
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    for axes in panels.flat[len(measured) :]:
        axes.set_visible(False)
    figure.supxlabel("optimiser steps", fontsize=10)
    handles = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside right upper")
    return figure


def _course(axes: Axes, log: pd.DataFrame, column: str, colour: str, dashes: Any, words: str) -> None:
    x, y = thinned(_place(log, 1), running_mean(log[column].to_numpy(dtype=np.float64)))
    axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.4, label=words)
