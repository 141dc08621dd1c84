"""Draw ROC curves of anything that gives photographs a probability."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.catalogue.labels import Question
from swcl_cli.evaluation.metrics import roc_points
from swcl_cli.reporting.figures.alt_texts import Entry, shortened, summary
from swcl_cli.reporting.figures.axes import BESIDE, percent_square
from swcl_cli.reporting.figures.strokes import FAINT, STRONG, label, strokes
from swcl_cli.reporting.figures.style import SIDE_BY_SIDE, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.figures.thinning import Line, corners
from swcl_cli.reporting.findings.names import SWCL
from swcl_cli.reporting.findings.percentages import percent
from swcl_cli.reporting.findings.probabilities import Probabilities, Scored


def roc_figure(
    name: str, title: str, sentence: str, scored: Sequence[Scored], question: Question, order: Sequence[str] = ()
) -> Figure:
    """Draw a curve each, its AUC in the legend. The curve of a single run has a marker at 0.5.

    Every run has both classes. order: all labels of the report, so that each keeps its colour (those of `scored`).
    """
    entries = [Entry(each.label, each.mean_auc, f"AUC {each.auc}{_at_half(each)}") for each in scored]
    dots = "the marker is at a probability of 0.5."
    means = "each curve is the mean of its runs' curves at equal shares of false alarms."
    return Figure(
        name,
        title,
        f"{sentence} How many {question.cases} are found (upwards) at the price of how many false alarms among "
        f"{question.others} (to the right), at each threshold; {dots if _are_single(scored) else means}",
        shortened(f"ROC curve{'s' if len(scored) > 1 else ''}, percent. {summary(entries)}."),
        partial(_draw, scored, list(order) or [each.label for each in scored]),
    )


def _are_single(scored: Sequence[Scored]) -> bool:
    return all(len(each.runs) == 1 for each in scored)


def _at_half(scored: Scored) -> str:
    if len(scored.runs) > 1:
        return ""
    outcomes = scored.runs[0].outcomes()
    sensitivity, specificity = percent(outcomes["sensitivity"]), percent(outcomes["specificity"])
    return f", at 0.5 sensitivity {sensitivity} and specificity {specificity}"


def mean_roc(runs: Sequence[Probabilities]) -> Line:
    """Average over runs the share found at each share of false alarms; under it lies the mean of their AUCs.

    A curve that jumps there enters twice, with the lower and the upper end of its jump. (P,) each, from 0 to 1.
    """
    curves = [roc_points(run.truth, run.score) for run in runs]
    false = np.unique(np.concatenate([x for x, _ in curves]))
    ends = np.mean([_ends(x, y, false) for x, y in curves], axis=0)  # (2, P): below and above each jump
    return corners(np.repeat(false, 2), ends.T.ravel())


def _ends(x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return lower and upper end of the staircase (x, y) at each place: (2, P)."""
    first, last = np.searchsorted(x, at, "left"), np.searchsorted(x, at, "right") - 1
    between = np.interp(at, x, y)
    met = first <= last
    return np.array([np.where(met, y[np.minimum(first, len(y) - 1)], between), np.where(met, y[last], between)])


def _draw(scored: Sequence[Scored], order: Sequence[str], theme: Theme) -> Drawing:
    drawing = new_drawing(theme, 8.2, 4.6)
    axes = drawing.subplots()
    look = strokes(order, theme)
    strong = {SWCL, UNTRAINED} if len(scored) > SIDE_BY_SIDE else {each.label for each in scored}
    for each in scored:
        false, true = mean_roc(each.runs)
        width, height = (STRONG, 2.2) if each.label in strong else (FAINT, 2)
        words, stroke = f"{label(each.label)}: {each.auc}", look[each.label]
        line = stroke.line if _are_single(scored) else stroke.marked(len(false))
        axes.plot(100 * false, 100 * true, **line, linewidth=width, zorder=height, label=words)
        if _are_single(scored):
            half = each.runs[0].outcomes()
            place = 100 - 100 * half["specificity"], 100 * half["sensitivity"]
            axes.plot(*place, stroke.marker, color=stroke.colour, markersize=7)
    percent_square(axes, theme, margin=2, diagonal="chance")
    axes.set_xlabel("false alarms, percent")
    axes.set_ylabel("found, percent")
    axes.set_box_aspect(1)
    axes.legend(**BESIDE, title="AUC, percent", alignment="left")
    return drawing
