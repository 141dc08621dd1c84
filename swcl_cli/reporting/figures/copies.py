"""Show pairs of photographs that are copies of each other, and of one eye in two photographs, side by side."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.audit.verdict import COPY, VISIT
from swcl_cli.data.images import read_image
from swcl_cli.data.splits import joined
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import shortened
from swcl_cli.reporting.figures.photographs import show
from swcl_cli.reporting.figures.style import Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.names import title

SHOWN = 8  # pairs of a kind
ACROSS = 2  # pairs in a row
TITLES = {COPY: "Copies", VISIT: "One eye in two photographs"}
SENTENCES = {
    COPY: "Pairs that are the same photograph; first those that splits part, then those with unlike labels, then "
    "those that were changed most, one pair of each group of copies.",
    VISIT: "Pairs that show the same eye in two photographs, which differ in place and light: no copies. First those "
    "of patients with two numbers.",
}


@dataclass(frozen=True)
class Pair:
    """Hold two photographs (H, W, 3), a line below each, and a line above both."""

    words: str
    photographs: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    names: tuple[str, str]


def copies_figures(contents: Contents) -> list[Figure]:
    """Make a figure of copies and one of repeated visits, where there are some."""
    figures = []
    for kind in (COPY, VISIT):
        rows = chosen(contents.pairs[contents.pairs["kind"] == kind]).to_dict("records")
        read = [contents.attempt(partial(_read, contents, row)) for row in rows]
        if pairs := [pair for pair in read if pair is not None]:
            said = "; ".join(f"{pair.names[0]} and {pair.names[1]}, {pair.words}" for pair in pairs)
            figures.append(
                Figure(
                    {COPY: "copies", VISIT: "visits"}[kind],
                    TITLES[kind],
                    SENTENCES[kind],
                    shortened(f"Pairs of photographs side by side: {said}."),
                    partial(_draw, pairs),
                    photographic=True,
                )
            )
    return figures


def chosen(pairs: pd.DataFrame) -> pd.DataFrame:
    """Choose SHOWN pairs, the gravest first; of photographs that belong together a pair alone."""
    two_numbers = (pairs["patient_id"] != pairs["other_patient_id"]) & (pairs["kind"] == VISIT)
    order = pairs.assign(
        one=~pairs["leak"].notna(), two=~pairs["unlike"].notna(), three=~two_numbers, four=pairs["vessels"]
    ).sort_values(["one", "two", "three", "four", "path", "other_path"])
    groups = joined(zip(order["path"], order["other_path"], strict=True))
    return pairs.loc[order[~order["path"].map(groups).duplicated()].index[:SHOWN]]


def _read(contents: Contents, row: Mapping[Hashable, Any]) -> Pair:
    photographs = (read_image(contents.root / row["path"]), read_image(contents.root / row["other_path"]))
    names = (_named(row, ""), _named(row, "other_"))
    unlike = f"; {row['unlike']}" if isinstance(row["unlike"], str) else ""
    return Pair(f"{row['change']}{unlike}", photographs, names)


def _named(row: Mapping[Hashable, Any], side: str) -> str:
    return f"{title(row[f'{side}dataset'])} {row[f'{side}image_id']} ({row[f'{side}split']})"


def _shape(photograph: NDArray[np.uint8]) -> float:
    """Return its height over its width."""
    return float(photograph.shape[0] / photograph.shape[1])


def _draw(pairs: Sequence[Pair], theme: Theme) -> Drawing:
    rows = [pairs[start : start + ACROSS] for start in range(0, len(pairs), ACROSS)]
    heights = [0.6 + 2.2 * max(_shape(photograph) for pair in row for photograph in pair.photographs) for row in rows]
    drawing = new_drawing(theme, 9.6, sum(heights))
    panels = drawing.subfigures(len(rows), ACROSS, squeeze=False, height_ratios=heights)
    for panel, pair in zip(panels.flat, pairs, strict=False):
        panel.suptitle(pair.words, fontsize=9, x=0.02, ha="left")
        for axes, photograph, name in zip(panel.subplots(1, 2), pair.photographs, pair.names, strict=True):
            show(axes, photograph)
            axes.set_xlabel(name, fontsize=7)
    return drawing
