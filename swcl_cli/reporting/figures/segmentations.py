"""Draw figures of segmentations: the worst and the best photograph, with right, false and missed pixels coloured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from matplotlib.patches import Patch
from numpy.typing import NDArray

from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.catalogue.tasks import NO_STRUCTURES
from swcl_cli.data.images import read_image, read_mask
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import shortened
from swcl_cli.reporting.figures.overlays import Colour, colours_of, hexadecimal, overlay
from swcl_cli.reporting.figures.photographs import show
from swcl_cli.reporting.figures.strokes import label
from swcl_cli.reporting.figures.style import FALSE_ALARM, HIT, MISS, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.grouping import by_task
from swcl_cli.reporting.findings.names import SWCL, ordered_initialisations, slug, title
from swcl_cli.reporting.findings.splits import shown_rows, split_word

MOST_INITIALISATIONS = 4  # more would make a figure too tall to look at
MOST_PANELS = 2  # structures whose outcomes are shown apart
AROUND = 0.5  # of the structures' own size: shown on each side of them
MASK, FOUND = "mask", "found"  # titles of the panels that show all structures
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Segmented:
    """A photograph, or the part of it around its structures, with its title and, for each structure, the colours of
    its outcomes and its F1. Pixels are (H, W, 3).

    colours: of the structures, where there are too many to show the outcomes of each: `outcomes` then holds what the
    mask shows and what was found, each in all colours.
    """

    words: str
    photograph: Pixels
    outcomes: dict[str, Pixels]
    f1: dict[str, float]
    colours: dict[str, Colour] = field(default_factory=dict)


def segmentations(contents: Contents) -> list[Figure]:
    """A figure for each task, of the first run of each initialisation. Photographs that can't be read are named among
    the damaged files.
    """
    table = shown_rows(contents.segmented)
    table = table[table["map_path"].notna() & table["f1"].notna()]
    figures = []
    for task, of_task in by_task(table):
        names = chosen(of_task)
        rows = [
            contents.attempt(partial(_pair, contents.root, name, of_task[of_task["name"] == name])) for name in names
        ]
        pairs = [row for row in rows if row is not None]
        if pairs:
            left_out = of_task["name"].nunique() - len(names)
            others = f" Shown are {' and '.join(names)}; the maps of {left_out} others are under finetune/{task}/."
            scores = "; ".join(f"{each.words} {_f1(each)}" for pair in pairs for each in pair)
            figures.append(
                Figure(
                    f"segmentation-{slug(task)}",
                    f"Segmentations of {title(task)}",
                    f"The {split_word(of_task)} photographs that each initialisation segments worst and best in its "
                    f"first run, by F1: {_colouring(pairs)}.{others if left_out else ''}",
                    shortened(f"Segmentations of {title(task)} with their F1 in percent: {scores}."),
                    partial(_draw, pairs),
                    photographic=True,
                )
            )
    return figures


def chosen(rows: pd.DataFrame) -> list[str]:
    """Choose at most MOST_INITIALISATIONS: random weights, the paper's method, then by their mean F1."""
    f1 = rows.groupby("name")["f1"].mean()
    ranked = sorted(f1.index, key=lambda name: (name not in (UNTRAINED, SWCL), -f1[name], name))
    return ordered_initialisations(ranked[:MOST_INITIALISATIONS])


def _pair(root: Path, name: str, table: pd.DataFrame) -> tuple[Segmented, Segmented]:
    """Return the worst and the best photograph by the mean F1 of the structures."""
    first = table[table["run"] == min(table["run"])]
    f1 = first.groupby("image_id")["f1"].mean().reset_index().sort_values(["f1", "image_id"])["image_id"]
    worst, best = (first[first["image_id"] == image].to_dict("records") for image in (f1.iloc[0], f1.iloc[-1]))
    return _read(root, f"{label(name)}, worst", worst), _read(root, f"{label(name)}, best", best)


def _read(root: Path, words: str, rows: list[dict[Any, Any]]) -> Segmented:
    photograph, drawn = read_image(root / rows[0]["path"]), {}
    for row in rows:
        predicted = read_mask(root / row["map_path"]) > 127
        height, width = predicted.shape
        mask = cv2.resize(read_mask(root / row["mask_path"]), (width, height), interpolation=cv2.INTER_NEAREST)
        drawn[row["structure"]] = (np.isin(mask, row["shades"]), predicted)
    shape = next(iter(drawn.values()))[0].shape
    part = part_around(np.logical_or.reduce([either for both in drawn.values() for either in both]))
    if photograph.shape[:2] != shape:
        photograph = np.asarray(cv2.resize(photograph, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    photograph, f1 = photograph[part], {row["structure"]: float(row["f1"]) for row in rows}
    if len(drawn) > MOST_PANELS:
        colours = colours_of(list(drawn), NO_STRUCTURES)
        both = ({name: masks[which][part] for name, masks in drawn.items()} for which in (0, 1))
        shown = {title: overlay(photograph, masks, colours) for title, masks in zip((MASK, FOUND), both, strict=True)}
        return Segmented(words, photograph, shown, f1, colours)
    outcomes = {
        structure: outcome_colours(truth[part], predicted[part]) for structure, (truth, predicted) in drawn.items()
    }
    return Segmented(words, photograph, outcomes, f1)


def part_around(structures: Mask) -> tuple[slice, slice]:
    """Return the square around all true pixels (H, W) with some margin; the whole where it would be most of it."""
    height, width = structures.shape
    rows, columns = np.flatnonzero(structures.any(axis=1)), np.flatnonzero(structures.any(axis=0))
    side = round((1 + 2 * AROUND) * max(np.ptp(rows), np.ptp(columns)) + 1) if len(rows) else height
    if side > 0.7 * min(height, width):
        return slice(0, height), slice(0, width)
    top, left = (
        int(np.clip((places[0] + places[-1] + 1 - side) // 2, 0, length - side))
        for places, length in ((rows, height), (columns, width))
    )
    return slice(top, top + side), slice(left, left + side)


def outcome_colours(truth: Mask, predicted: Mask) -> Pixels:
    """Colour, (H, W) each -> (H, W, 3): yellow where both hold, orange where only predicted, light blue only true."""
    coloured = np.zeros((*truth.shape, 3), np.uint8)
    coloured[truth & predicted] = HIT
    coloured[~truth & predicted] = FALSE_ALARM
    coloured[truth & ~predicted] = MISS
    return coloured


def _colouring(pairs: Sequence[tuple[Segmented, Segmented]]) -> str:
    if pairs[0][0].colours:
        return "each structure has a colour, in the mask and in what was found"
    return "yellow is right, orange is false, light blue is missed"


def _f1(segmented: Segmented) -> str:
    several = len(segmented.f1) > 1
    return ", ".join(
        f"{structure} {100 * f1:.1f}" if several else f"{100 * f1:.1f}" for structure, f1 in segmented.f1.items()
    )


def _draw(pairs: list[tuple[Segmented, Segmented]], theme: Theme) -> Drawing:
    columns = 2 * max(1 + len(each.outcomes) for pair in pairs for each in pair)
    height, width = pairs[0][0].photograph.shape[:2]
    drawing = new_drawing(theme, 9, 0.6 + (0.3 + 8.6 / columns * height / width) * len(pairs))
    panels = drawing.subplots(len(pairs), columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for row, pair in zip(panels, pairs, strict=True):
        for axes, each in zip((row[: columns // 2], row[columns // 2 :]), pair, strict=True):
            show(axes[0], each.photograph, each.words)
            for place, (structure, outcomes) in enumerate(each.outcomes.items(), 1):
                of = f"{structure}: " if len(each.outcomes) > 1 else ""
                score = np.mean(list(each.f1.values())) if structure == FOUND else each.f1.get(structure)
                show(axes[place], outcomes, structure if score is None else f"{of}F1 {100 * score:.1f}")
    words: Mapping[str, Colour] = pairs[0][0].colours or {"right": HIT, "false": FALSE_ALARM, "missed": MISS}
    marks = [Patch(facecolor=hexadecimal(colour), edgecolor=theme.ink, label=word) for word, colour in words.items()]
    drawing.legend(handles=marks, loc="outside lower center", ncols=min(len(marks), 6))
    return drawing
