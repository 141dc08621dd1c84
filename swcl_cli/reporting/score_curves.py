"""ROC curves and reliability diagrams of anything that gives photographs a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from swcl_cli.evaluation.metrics import auc, binary_outcomes, bootstrap_interval, reliability, roc_points
from swcl_cli.reporting.style import COLOURS, Picture, Theme, new_figure
from swcl_cli.reporting.tables import percent, with_interval

BINS = 10
BESIDE: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1)}  # where a legend covers nothing
STYLES = ("-", "--", "-.", ":")  # beside the colours: after all of those, the next style


@dataclass(frozen=True)
class Scored:
    """One curve's photographs: whether each is a case, the probability that was said, and whose it is, (N,) each.

    `seed` keys the bootstrap over patients.
    """

    label: str
    truth: NDArray[np.bool_]
    score: NDArray[np.float64]
    patient: NDArray[np.str_]
    seed: int

    @property
    def auc(self) -> str:
        """In percent, with its 95 % interval."""
        low, high = bootstrap_interval(lambda rows: auc(self.truth[rows], self.score[rows]), self.patient, self.seed)
        return with_interval(auc(self.truth, self.score), low, high)


def roc_chart(name: str, title: str, sentence: str, scored: Sequence[Scored]) -> Picture:
    """A curve each, its AUC in the legend, its sensitivity and specificity at 0.5 as a dot."""
    legends = [f"{one.label}: AUC {one.auc}" for one in scored]
    outcomes = [binary_outcomes(one.truth, one.score) for one in scored]
    said = "; ".join(
        f"{legend}, at 0.5 sensitivity {percent(found['sensitivity'])} and specificity {percent(found['specificity'])}"
        for legend, found in zip(legends, outcomes, strict=True)
    )
    return Picture(
        name,
        title,
        f"{sentence} How many abnormal ones are found (upwards) at the price of how many false alarms (to the right), "
        "at each threshold; the dot is at a probability of 0.5. AUC in percent, with its 95 % interval over patients.",
        f"ROC curve, percent. {said}.",
        partial(_draw_roc, scored, legends, outcomes),
    )


def _draw_roc(
    scored: Sequence[Scored], legends: Sequence[str], outcomes: Sequence[dict[str, float]], theme: Theme
) -> Figure:
    figure = new_figure(theme, 8.2, 4.4)
    axes = figure.subplots()
    axes.plot([0, 100], [0, 100], ":", color=theme.ink, linewidth=1)
    axes.annotate("chance", (60, 60), (6, -12), textcoords="offset points")
    for place, (one, legend, found) in enumerate(zip(scored, legends, outcomes, strict=True)):
        false, true = roc_points(one.truth, one.score)
        colour, style = _line(place)
        axes.plot(100 * false, 100 * true, color=colour, linestyle=style, linewidth=1.6, label=legend)
        axes.plot(100 - 100 * found["specificity"], 100 * found["sensitivity"], "o", color=colour, markersize=6)
    axes.set_xlabel("false alarms: percent of the normal ones")
    axes.set_ylabel("found: percent of the abnormal ones")
    axes.set_xlim(-2, 102)
    axes.set_ylim(-2, 102)
    axes.set_box_aspect(1)
    axes.grid()
    axes.legend(**BESIDE)
    return figure


def reliability_chart(name: str, title: str, sentence: str, scored: Sequence[Scored]) -> Picture:
    """Of what is predicted with a probability, how much is so; below, how often each probability is predicted."""
    found = [reliability(one.truth, one.score, BINS) for one in scored]
    legends = [
        f"{one.label}: ECE {percent(each.expected_calibration_error)}" for one, each in zip(scored, found, strict=True)
    ]
    said = "; ".join(
        f"{legend}, by bins "
        + ", ".join(
            f"{percent(each.score[bin])} predicted, {percent(each.share[bin])} observed (n = {each.count[bin]:,})"
            for bin in np.flatnonzero(each.count)
        )
        for legend, each in zip(legends, found, strict=True)
    )
    return Picture(
        name,
        title,
        f"{sentence} Each point is a bin of probabilities, a tenth wide: on the dotted line as many are abnormal as "
        "predicted, below it fewer. The bars count the photographs of each bin. ECE, the expected calibration error, "
        "is the mean distance to that line in percentage points.",
        f"Reliability diagram, percent. {said}.",
        partial(_draw_reliability, scored, legends),
    )


def _draw_reliability(scored: Sequence[Scored], legends: Sequence[str], theme: Theme) -> Figure:
    figure = new_figure(theme, 8.2, 5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 100], [0, 100], ":", color=theme.ink, linewidth=1)
    width = 100 / BINS / len(scored)
    for place, (one, legend) in enumerate(zip(scored, legends, strict=True)):
        found = reliability(one.truth, one.score, BINS)
        held = found.count > 0
        colour, style = _line(place)
        above.plot(
            100 * found.score[held], 100 * found.share[held], color=colour, linestyle=style, marker="o", label=legend
        )
        left = np.arange(BINS) * 100 / BINS + place * width
        bars = below.bar(left, found.count, 0.9 * width, align="edge", color=colour)
        if len(scored) == 1:
            below.bar_label(bars, [f"{count:,}" if count else "" for count in found.count], fontsize=8, padding=2)
    above.set_ylabel("observed: percent abnormal")
    above.set_xlim(-1, 101)
    above.set_ylim(-3, 103)
    above.grid()
    above.legend(**BESIDE)
    below.set_ylabel("photographs")
    below.margins(y=0.2)
    below.set_xlabel("predicted: probability of abnormal, percent")
    return figure


def _line(place: int) -> tuple[str, str]:
    return COLOURS[place % len(COLOURS)], STYLES[place // len(COLOURS) % len(STYLES)]
