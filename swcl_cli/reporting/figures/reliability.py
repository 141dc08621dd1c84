"""Draw reliability diagrams of anything that gives photographs a probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from swcl_cli.catalogue.labels import Question
from swcl_cli.evaluation.metrics import Reliability
from swcl_cli.reporting.figures.alt_texts import Entry, shortened, summary
from swcl_cli.reporting.figures.axes import BESIDE, percent_square
from swcl_cli.reporting.figures.strokes import Stroke, label, strokes
from swcl_cli.reporting.figures.style import SIDE_BY_SIDE, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.percentages import percent
from swcl_cli.reporting.findings.probabilities import BINS, Scored


def reliability_figure(
    name: str, title: str, sentence: str, scored: Sequence[Scored], question: Question, order: Sequence[str] = ()
) -> Figure:
    """Show how much of what is predicted with a probability is so, and how often each probability is predicted.

    Few share one diagram, many have one each. order: as in `roc_figure`.
    """
    errors = [each.calibration_error for each in scored]
    entries = [
        Entry(each.label, error, _bins_in_words(each, error, len(scored)))
        for each, error in zip(scored, errors, strict=True)
    ]
    runs = " over all runs together" if any(len(each.runs) > 1 for each in scored) else ""
    apart = len(scored) > SIDE_BY_SIDE
    draw = _draw_each if apart else _draw_together
    return Figure(
        name,
        title,
        f"{sentence} Each point is a bin of probabilities, a tenth wide{runs}: on the dotted line as many are so as "
        f"predicted, below it fewer. The {'size of a point tells' if apart else 'bars count'} the photographs of each "
        "bin. ECE, the expected calibration error, is the mean distance to that line in percentage points"
        f"{', averaged over the runs' if runs else ''}.",
        shortened(f"Reliability diagram, percent. {summary(entries)}."),
        partial(draw, scored, question, list(order) or [each.label for each in scored]),
    )


def _bins_in_words(scored: Scored, error: float, lines: int) -> str:
    if lines > 1:
        return f"ECE {percent(error)}"
    bins = scored.pooled
    return f"ECE {percent(error)}, by bins " + ", ".join(
        f"{percent(bins.score[bin])} predicted, {percent(bins.share[bin])} observed (n = {bins.count[bin]:,})"
        for bin in np.flatnonzero(bins.count)
    )


def _draw_together(scored: Sequence[Scored], question: Question, order: Sequence[str], theme: Theme) -> Drawing:
    drawing = new_drawing(theme, 8.2, 5)
    above, below = drawing.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    look = strokes(order, theme)
    width = 100 / BINS / len(scored)
    for place, each in enumerate(scored):
        bins, stroke = each.pooled, look[each.label]
        _draw_bins(above, bins, stroke, name=f"{label(each.label)}: {percent(each.calibration_error)}")
        start = np.arange(BINS) * 100 / BINS + place * width
        bars = below.bar(
            start, bins.count, 0.9 * width, align="edge", color=stroke.colour, hatch=stroke.hatch, edgecolor=theme.paper
        )
        if len(scored) == 1:
            below.bar_label(bars, [f"{count:,}" if count else "" for count in bins.count], fontsize=8, padding=2)
    percent_square(above, theme, margin=3)
    above.set_ylabel("observed, percent")
    above.legend(**BESIDE, title="ECE, points", alignment="left")
    below.set_ylabel("photographs")
    below.margins(y=0.2)
    below.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    below.set_xlabel(f"predicted probability of {question.noun}, percent")
    return drawing


def _draw_each(scored: Sequence[Scored], question: Question, order: Sequence[str], theme: Theme) -> Drawing:
    columns = SIDE_BY_SIDE
    rows = math.ceil(len(scored) / columns)
    drawing = new_drawing(theme, 8.2, 0.5 + 2.15 * rows)
    panels = drawing.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    look = strokes(order, theme)
    for axes, each in zip(panels.flat, scored, strict=False):
        bins, stroke = each.pooled, look[each.label]
        _draw_bins(axes, bins, stroke)
        held = bins.count > 0
        size = 6 + 90 * bins.count[held] / bins.count.max()
        points = 100 * bins.score[held], 100 * bins.share[held]
        axes.scatter(*points, size, color=stroke.colour, zorder=3, clip_on=False)
        percent_square(axes, theme, margin=3)
        axes.set_box_aspect(1)
        axes.set_xticks([0, 50, 100])
        axes.set_yticks([0, 50, 100])
        axes.set_title(f"{label(each.label)}\nECE {percent(each.calibration_error)}", fontsize=9)
    for axes in panels.flat[len(scored) :]:
        axes.set_visible(False)
    for axes in panels.flat[: len(scored)][-columns:]:
        axes.tick_params(labelbottom=True)
    drawing.supxlabel(f"predicted probability of {question.noun}, percent", fontsize=10)
    drawing.supylabel("observed, percent", fontsize=10)
    return drawing


def _draw_bins(axes: Axes, bins: Reliability, stroke: Stroke, name: str | None = None) -> None:
    held = bins.count > 0
    points = 100 * bins.score[held], 100 * bins.share[held]
    axes.plot(*points, **stroke.line, marker=stroke.marker if name else "", label=name)
