"""Show photographs that lie upside down, as surely and as unsurely as they do, and those named after the other eye."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.data.images import read_image
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import shortened
from swcl_cli.reporting.figures.photographs import show
from swcl_cli.reporting.figures.style import Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.names import title

SHOWN = 12  # photographs of a kind
ACROSS = 4  # in a row


@dataclass(frozen=True)
class Shown:
    """Hold a photograph (H, W, 3) as it lies, and a line below it."""

    photograph: NDArray[np.uint8]
    words: str


def lying_figures(contents: Contents) -> list[Figure]:
    """Make a figure of photographs named after the other eye, and one of the least sure of those upside down."""
    if not contents.lying:
        return []
    rows = pd.concat([frame.assign(dataset=name) for name, frame in contents.lying.items()], ignore_index=True)
    rows = rows.sort_values(["inverted_confidence", "path"], kind="stable")
    kinds = (
        (
            "misnamed",
            "Named after the other eye",
            "Photographs as they lie, whose names tell the other eye than is seen, with the chance of that; the least "
            "sure ones first.",
            rows[rows["misnamed"]],
        ),
        (
            "upside-down",
            "Upside down",
            "Photographs as they lie, turned by 180 degrees, with the chance of that; the least sure ones first, "
            "without those named after the other eye.",
            rows[rows["inverted"] & ~rows["misnamed"]],
        ),
    )
    figures = []
    for name, heading, sentence, chosen in kinds:
        read = [contents.attempt(partial(_read, contents, row)) for row in chosen.head(SHOWN).to_dict("records")]
        if shown := [each for each in read if each is not None]:
            said = "; ".join(each.words.replace("\n", ", ") for each in shown)
            figures.append(
                Figure(
                    name,
                    heading,
                    f"{sentence} {len(shown):,} of {len(chosen):,}.",
                    shortened(f"{heading}: {said}."),
                    partial(_draw, shown),
                    photographic=True,
                )
            )
    return figures


def _read(contents: Contents, row: Mapping[Hashable, Any]) -> Shown:
    turned = "upside down" if row["inverted"] else "upright"
    seen = f"{row['side']} eye ({row['side_confidence']:.2f}), " if row["misnamed"] else ""
    words = f"{title(row['dataset'])} {row['image_id']}\n{seen}{turned} ({row['inverted_confidence']:.2f})"
    return Shown(read_image(contents.root / row["path"]), words)


def _draw(shown: Sequence[Shown], theme: Theme) -> Drawing:
    rows = -(-len(shown) // ACROSS)
    highest = max(each.photograph.shape[0] / each.photograph.shape[1] for each in shown)
    drawing = new_drawing(theme, 9.6, rows * (0.5 + 2.2 * highest))
    panels = drawing.subplots(rows, ACROSS, squeeze=False)
    for axes in panels.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, each in zip(panels.flat, shown, strict=False):
        show(axes, each.photograph)
        axes.set_xlabel(each.words, fontsize=7)
    return drawing
