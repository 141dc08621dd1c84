"""Draw the figure of the k-NN probe: how far photographs lie apart in the course of pretraining."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.methods import METHODS
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import Entry, shortened, summary
from swcl_cli.reporting.figures.axes import BESIDE, band, chance_line
from swcl_cli.reporting.figures.smoothing import course, is_logged
from swcl_cli.reporting.figures.strokes import initialisations, label, pretraining_logs, strokes
from swcl_cli.reporting.figures.style import Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.percentages import percent

PROBED = ("knn_auc", "knn_low", "knn_high")
MOST_BANDS = 4  # more would hide each other
MILLION, THOUSAND = 1_000_000, 1_000
Course = tuple[NDArray[np.float64], pd.DataFrame]  # where each record stands on the x axis, and the records


def probe_figure(contents: Contents) -> Figure | None:
    """Make the figure of the AUC of nearest neighbours' votes in the course of each pretraining."""
    logs = {
        name: log[log["knn_auc"].notna()]
        for name, log in pretraining_logs(contents).items()
        if set(PROBED) <= set(log) and is_logged(log, "knn_auc")
    }
    if not logs:
        return None
    batches = {name: _views_a_step(contents, name) for name in logs}
    in_views = all(batches.values())
    courses = {
        name: ((batches[name] if in_views else 1) * course(log, "knn_auc")[0], log) for name, log in logs.items()
    }
    last = {name: float(log["knn_auc"].iloc[-1]) for name, log in logs.items()}
    entries = [Entry(name, value, f"{percent(value)} at last") for name, value in last.items()]
    width = float(np.mean([(log["knn_high"] - log["knn_low"]).iloc[-1] / 2 for log in logs.values()]))
    drawn = "the bars are" if all(len(log) == 1 for log in logs.values()) else "the bands (of one point: bars) are"
    bands = drawn if len(logs) <= MOST_BANDS else f"not shown: about ±{percent(width)} points, the width of"
    return Figure(
        "probe",
        "k-nearest-neighbour probe of the encoders",
        "Whether photographs with and without disease already lie apart, without any head: training photographs vote "
        f"on validation ones. AUC in percent; {bands} the 95 % intervals over patients. This shows the course of "
        "pretraining and is no score on new photographs: by default SWCL and the multi-task baseline train on patches "
        "of the probed photographs, weakly labelled with the help of their labels, and SimCLR, BYOL and DINO on the "
        "photographs themselves, without any; supervised-odir trains on the photographs of OIA-ODIR with their labels.",
        shortened(f"Line chart of the k-NN AUC in percent; 50 is chance. {summary(entries)}."),
        partial(_draw, courses, initialisations(contents), in_views),
    )


def _views_a_step(contents: Contents, name: str) -> int:
    """Return 0 where it is not known: the encoder is not there yet."""
    settings = contents.encoders[name].settings if name in contents.encoders else {}
    batch = int(settings.get("batch_patches") or settings.get("batch_images") or 0)
    method = METHODS.get(str(settings.get("method")))
    return batch * method.views(settings.get("variant")) if method else 0


def _draw(courses: Mapping[str, Course], order: list[str], in_views: bool, theme: Theme) -> Drawing:
    drawing = new_drawing(theme, 8.2, 4)
    axes = drawing.subplots()
    look = strokes(order, theme)
    farthest = max(float(x.max()) for x, _ in courses.values())
    unit, words = (MILLION, "million views") if farthest >= MILLION else (THOUSAND, "thousand views")
    unit, words = (unit, f"{words} seen") if in_views else (1, "optimiser steps")
    for name, (place, log) in courses.items():
        x, (middle, low, high) = place / unit, (100 * log[key].to_numpy(dtype=np.float64) for key in PROBED)
        stroke = look[name]
        axes.plot(x, middle, marker=stroke.marker, **stroke.line, markersize=4, linewidth=1.5, label=label(name))
        if len(courses) <= MOST_BANDS:
            band(axes, x, low, high, stroke)
    chance_line(axes, 50, theme)
    axes.set_xlim(left=0)
    axes.set_xlabel(words)
    axes.set_ylabel("k-NN AUC, percent")
    axes.grid(axis="y")
    axes.legend(**BESIDE)
    return drawing
