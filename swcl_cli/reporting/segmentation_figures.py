"""Figures of segmentations: the worst and the best photograph, with right, false and missed pixels coloured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from swcl_cli.data.images import read_image, read_mask
from swcl_cli.reporting import names
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.names import slug, title
from swcl_cli.reporting.photographs import show
from swcl_cli.reporting.style import FALSE_ALARM, HIT, MISS, Picture, Theme, new_figure

MOST_INITIALISATIONS = 11  # the paper's; more would make a picture too tall to look at


@dataclass(frozen=True)
class Case:
    """A segmented photograph: `words` for its title, itself and its outcomes, both (H, W, 3)."""

    words: str
    photograph: NDArray[np.uint8]
    outcomes: NDArray[np.uint8]
    f1: float


def segmentations(contents: Contents) -> list[Picture]:
    """A picture a task, from the first run of each initialisation. What can't be read is named among the damaged."""
    table = contents.segmented[(contents.segmented["split"] == "test") & contents.segmented["map_path"].notna()]
    pictures = []
    for task in names.in_paper_order(list(table["task"]), names.TASKS):
        of_task = table[table["task"] == task]
        found = names.in_paper_order(list(of_task["name"]), names.INITIALISATIONS)[:MOST_INITIALISATIONS]
        rows = [contents.tried(partial(_pair, contents.root, name, of_task[of_task["name"] == name])) for name in found]
        pairs = [row for row in rows if row is not None]
        if pairs:
            said = "; ".join(f"{case.words} {100 * case.f1:.1f}" for pair in pairs for case in pair)
            pictures.append(
                Picture(
                    f"segmentation-{slug(task)}",
                    f"Segmentations of {title(task)}",
                    "The test photographs that each initialisation segments worst and best in its first run: yellow is "
                    "right, orange is false, light blue is missed.",
                    f"Segmentations of {title(task)} with their F1 in percent: {said}.",
                    partial(_draw, pairs),
                    photographic=True,
                )
            )
    return pictures


def _pair(root: Path, name: str, table: pd.DataFrame) -> tuple[Case, Case]:
    first = table[table["run"] == min(table["run"])].sort_values(["f1", "image_id"]).to_dict("records")
    of = [f", {row['structure']}" if len(set(table["structure"])) > 1 else "" for row in (first[0], first[-1])]
    return _case(root, f"{name}, worst{of[0]}", first[0]), _case(root, f"{name}, best{of[1]}", first[-1])


def _case(root: Path, words: str, row: Mapping[Any, Any]) -> Case:
    predicted = read_mask(root / row["map_path"]) > 127
    height, width = predicted.shape
    mask = cv2.resize(read_mask(root / row["mask_path"]), (width, height), interpolation=cv2.INTER_NEAREST)
    truth = np.isin(mask, row["shades"])
    return Case(words, read_image(root / row["path"]), outcome_colours(truth, predicted), float(row["f1"]))


def outcome_colours(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Both (H, W) -> (H, W, 3): yellow where both hold, orange where only predicted, light blue where only true."""
    coloured = np.zeros((*truth.shape, 3), np.uint8)
    coloured[truth & predicted] = HIT
    coloured[~truth & predicted] = FALSE_ALARM
    coloured[truth & ~predicted] = MISS
    return coloured


def _draw(pairs: list[tuple[Case, Case]], theme: Theme) -> Figure:
    height, width = pairs[0][0].photograph.shape[:2]
    figure = new_figure(theme, 8, 0.6 + (0.3 + 1.9 * height / width) * len(pairs))
    panels = figure.subplots(len(pairs), 4, squeeze=False)
    for row, pair in zip(panels, pairs, strict=True):
        for photograph, outcomes, case in zip(row[::2], row[1::2], pair, strict=True):
            show(photograph, case.photograph, case.words)
            show(outcomes, case.outcomes, f"F1 {100 * case.f1:.1f}")
    words = {"right": HIT, "false": FALSE_ALARM, "missed": MISS}
    marks = [
        Patch(facecolor=f"#{bytes(colour).hex()}", edgecolor=theme.ink, label=word) for word, colour in words.items()
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=3)
    return figure
