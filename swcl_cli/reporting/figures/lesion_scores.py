"""Draw the distribution of lesion scores (Fig. 4): photographs with and without an image label, with t marked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.style import ABNORMAL, COLOURS, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.patches import THRESHOLDS, abnormal_counts
from swcl_cli.reporting.findings.percentages import percent

BINS = 50


def lesion_scores(contents: Contents) -> Figure | None:
    """Make the figure, with a panel for each kind of image label."""
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
    shown = {name: values for name, values in groups.items() if len(values)}
    medians = "; ".join(f"{name}: {counted(len(v), 'patches')}, median {np.median(v):.2f}" for name, v in shown.items())
    abnormal = zip(THRESHOLDS, abnormal_counts(contents.patches["score"], THRESHOLDS), strict=True)
    shares = ", ".join(f"{number:,} ({percent(number / len(score))} %) at t = {t:g}" for t, number in abnormal)
    return Figure(
        "lesion-scores",
        "Distribution of lesion scores",
        f"How the lesion scores of all patches are distributed; from t = {threshold:g} on, a patch counts as abnormal. "
        f"Of {counted(len(score), 'patches')}, abnormal are {shares}.",
        f"Histograms of lesion scores from 0 to 1, t = {threshold:g} marked. {medians}. Abnormal: {shares}.",
        partial(_draw, shown, threshold),
    )


def _draw(groups: Mapping[str, NDArray[np.float64]], threshold: float, theme: Theme) -> Drawing:
    drawing = new_drawing(theme, 7, 0.8 + 1.45 * len(groups))
    edges = np.linspace(0, 1, BINS + 1)
    panels = drawing.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, values) in zip(panels, groups.items(), strict=True):
        counts, _ = np.histogram(values, edges)
        colours = [ABNORMAL if edge >= threshold - 1e-9 else COLOURS[0] for edge in edges[:-1]]
        axes.bar(edges[:-1], 100 * counts / len(values), np.diff(edges), align="edge", color=colours)
        axes.axvline(threshold, color=theme.ink, linestyle="--", linewidth=1.2)
        axes.set_title(f"{name}: {counted(len(values), 'patches')}")
        axes.set_ylabel("percent")
        axes.set_xlim(0, 1)
    panels[-1].set_xlabel(f"lesion score of the patch; dashed: t = {threshold:g}")
    return drawing
