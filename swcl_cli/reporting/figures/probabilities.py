"""ROC curves and reliability diagrams of anything that gives photographs a probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from swcl_cli.evaluation.metrics import Reliability, auc, binary_outcomes, reliability, roc_points
from swcl_cli.reporting.figures.alt_texts import Told, shortened, summary
from swcl_cli.reporting.figures.strokes import BESIDE, FAINT, RANDOM, STRONG, Stroke, label, strokes
from swcl_cli.reporting.figures.style import Picture, Theme, new_figure
from swcl_cli.reporting.figures.thinning import Line, corners
from swcl_cli.reporting.findings.questions import Question
from swcl_cli.reporting.tables.table import percent

BINS = 10
SIDE_BY_SIDE = 4  # more diagrams than these would hide each other in one


@dataclass(frozen=True)
class Run:
    """Photographs that one model judged: whether each is a case, and the probability that was said. (N,) each."""

    truth: NDArray[np.bool_]
    score: NDArray[np.float64]

    @property
    def has_both(self) -> bool:
        return bool(self.truth.any() and not self.truth.all())


@dataclass(frozen=True)
class Scored:
    """The runs behind one curve, at least one; `auc` says theirs in words, in percent."""

    label: str
    runs: tuple[Run, ...]
    auc: str = ""

    @property
    def calibration_error(self) -> float:
        """The mean over runs."""
        return float(np.mean([_bins(run).expected_calibration_error for run in self.runs]))

    @property
    def pooled(self) -> Reliability:
        """The bins of all runs together."""
        truths, scores = [run.truth for run in self.runs], [run.score for run in self.runs]
        return reliability(np.concatenate(truths), np.concatenate(scores), BINS)


def _bins(run: Run) -> Reliability:
    return reliability(run.truth, run.score, BINS)


def roc_chart(
    name: str, title: str, sentence: str, scored: Sequence[Scored], question: Question, order: Sequence[str] = ()
) -> Picture:
    """A curve each, its AUC in the legend. The curve of a single run has a dot at 0.5.

    Every run has both classes. order: all labels of the report, so that each keeps its colour (those of `scored`).
    """
    told = [Told(one.label, _mean_auc(one), f"AUC {one.auc}{_at_half(one)}") for one in scored]
    single = all(len(one.runs) == 1 for one in scored)
    how = "the dot is at a probability of 0.5." if single else (
        "each curve is the mean of its runs' curves at equal shares of false alarms."
    )  # fmt: skip
    return Picture(
        name,
        title,
        f"{sentence} How many {question.cases} are found (upwards) at the price of how many false alarms among "
        f"{question.others} (to the right), at each threshold; {how}",
        shortened(f"ROC curve{'s' if len(scored) > 1 else ''}, percent. {summary(told)}."),
        partial(_draw_roc, scored, list(order) or [one.label for one in scored]),
    )


def _mean_auc(scored: Scored) -> float:
    return float(np.mean([auc(run.truth, run.score) for run in scored.runs]))


def _at_half(scored: Scored) -> str:
    if len(scored.runs) > 1:
        return ""
    found = binary_outcomes(scored.runs[0].truth, scored.runs[0].score)
    sensitivity, specificity = percent(found["sensitivity"]), percent(found["specificity"])
    return f", at 0.5 sensitivity {sensitivity} and specificity {specificity}"


def mean_roc(runs: Sequence[Run]) -> Line:
    """The mean over runs of the share found at each share of false alarms; under it lies the mean of their AUCs.

    A curve that jumps there enters twice, with the lower and the upper end of its jump. (P,) each, from 0 to 1.
    """
    curves = [roc_points(run.truth, run.score) for run in runs]
    false = np.unique(np.concatenate([x for x, _ in curves]))
    ends = np.mean([_ends(x, y, false) for x, y in curves], axis=0)  # (2, P): below and above each jump
    return corners(np.repeat(false, 2), ends.T.ravel())


def _ends(x: NDArray[np.float64], y: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower and upper end of the staircase (x, y) at each place: (2, P)."""
    first, last = np.searchsorted(x, at, "left"), np.searchsorted(x, at, "right") - 1
    between = np.interp(at, x, y)
    met = first <= last
    return np.array([np.where(met, y[np.minimum(first, len(y) - 1)], between), np.where(met, y[last], between)])


def _draw_roc(scored: Sequence[Scored], order: Sequence[str], theme: Theme) -> Figure:
    figure = new_figure(theme, 8.2, 4.6)
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], ":", color=theme.ink, linewidth=1)
    axes.annotate("chance", (60, 60), (6, -12), textcoords="offset points")
    look = strokes(order, theme)
    strong = {max(scored, key=_mean_auc).label, RANDOM} if len(scored) > SIDE_BY_SIDE else {one.label for one in scored}
    for one in scored:
        stroke = look[one.label]
        false, true = mean_roc(one.runs)
        width, height = (STRONG, 2.2) if one.label in strong else (FAINT, 2)
        axes.plot(
            100 * false, 100 * true, color=stroke.colour, linestyle=stroke.dashes, linewidth=width, zorder=height,
            label=f"{label(one.label)}: {one.auc}",
        )  # fmt: skip
        if all(len(each.runs) == 1 for each in scored):
            found = binary_outcomes(one.runs[0].truth, one.runs[0].score)
            axes.plot(
                100 - 100 * found["specificity"], 100 * found["sensitivity"], "o", color=stroke.colour, markersize=6
            )
    axes.set_xlabel("false alarms, percent")
    axes.set_ylabel("found, percent")
    axes.set_xlim(-2, 102)
    axes.set_ylim(-2, 102)
    axes.set_box_aspect(1)
    axes.grid()
    axes.legend(**BESIDE, title="AUC, percent", alignment="left")
    return figure


def reliability_chart(
    name: str, title: str, sentence: str, scored: Sequence[Scored], question: Question, order: Sequence[str] = ()
) -> Picture:
    """Of what is predicted with a probability, how much is so; below, how often each probability is predicted.

    Few share one diagram, many have one each. order: as in `roc_chart`.
    """
    errors = [one.calibration_error for one in scored]
    told = [
        Told(one.label, error, _told_bins(one, error, len(scored))) for one, error in zip(scored, errors, strict=True)
    ]
    runs = " over all runs together" if any(len(one.runs) > 1 for one in scored) else ""
    apart = len(scored) > SIDE_BY_SIDE
    return Picture(
        name,
        title,
        f"{sentence} Each point is a bin of probabilities, a tenth wide{runs}: on the dotted line as many are so as "
        f"predicted, below it fewer. The {'size of a point tells' if apart else 'bars count'} the photographs of each "
        "bin. ECE, the expected calibration error, is the mean distance to that line in percentage points"
        f"{', averaged over the runs' if runs else ''}.",
        shortened(f"Reliability diagram, percent. {summary(told)}."),
        partial(
            _draw_each if apart else _draw_together, scored, question, list(order) or [one.label for one in scored]
        ),
    )


def _told_bins(scored: Scored, error: float, curves: int) -> str:
    if curves > 1:
        return f"ECE {percent(error)}"
    found = scored.pooled
    return f"ECE {percent(error)}, by bins " + ", ".join(
        f"{percent(found.score[bin])} predicted, {percent(found.share[bin])} observed (n = {found.count[bin]:,})"
        for bin in np.flatnonzero(found.count)
    )


def _draw_together(scored: Sequence[Scored], question: Question, order: Sequence[str], theme: Theme) -> Figure:
    figure = new_figure(theme, 8.2, 5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    look = strokes(order, theme)
    width = 100 / BINS / len(scored)
    for place, one in enumerate(scored):
        found, stroke = one.pooled, look[one.label]
        _bins_line(above, found, stroke, name=f"{label(one.label)}: {percent(one.calibration_error)}")
        left = np.arange(BINS) * 100 / BINS + place * width
        bars = below.bar(left, found.count, 0.9 * width, align="edge", color=stroke.colour)
        if len(scored) == 1:
            below.bar_label(bars, [f"{count:,}" if count else "" for count in found.count], fontsize=8, padding=2)
    _diagonal(above, theme)
    above.set_ylabel("observed, percent")
    above.legend(**BESIDE, title="ECE, points", alignment="left")
    below.set_ylabel("photographs")
    below.margins(y=0.2)
    below.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    below.set_xlabel(f"predicted probability of {question.noun}, percent")
    return figure


def _draw_each(scored: Sequence[Scored], question: Question, order: Sequence[str], theme: Theme) -> Figure:
    columns = SIDE_BY_SIDE
    rows = math.ceil(len(scored) / columns)
    figure = new_figure(theme, 8.2, 0.5 + 2.15 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    look = strokes(order, theme)
    for axes, one in zip(panels.flat, scored, strict=False):
        found = one.pooled
        _bins_line(axes, found, look[one.label])
        held = found.count > 0
        size = 6 + 90 * found.count[held] / found.count.max()
        axes.scatter(
            100 * found.score[held], 100 * found.share[held], size, color=look[one.label].colour, zorder=3,
                     clip_on=False,
        )  # fmt: skip
        _diagonal(axes, theme)
        axes.set_box_aspect(1)
        axes.set_xticks([0, 50, 100])
        axes.set_yticks([0, 50, 100])
        axes.set_title(f"{label(one.label)}\nECE {percent(one.calibration_error)}", fontsize=9)
    for axes in panels.flat[len(scored) :]:
        axes.set_visible(False)
    for axes in panels.flat[: len(scored)][-columns:]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel(f"predicted probability of {question.noun}, percent", fontsize=10)
    figure.supylabel("observed, percent", fontsize=10)
    return figure


def _bins_line(axes: Axes, found: Reliability, stroke: Stroke, name: str | None = None) -> None:
    held = found.count > 0
    marker = "o" if name else ""
    axes.plot(
        100 * found.score[held], 100 * found.share[held], color=stroke.colour, linestyle=stroke.dashes, marker=marker,
        label=name,
    )  # fmt: skip


def _diagonal(axes: Axes, theme: Theme) -> None:
    axes.plot([0, 100], [0, 100], ":", color=theme.ink, linewidth=1)
    axes.set_xlim(-3, 103)
    axes.set_ylim(-3, 103)
    axes.grid()
