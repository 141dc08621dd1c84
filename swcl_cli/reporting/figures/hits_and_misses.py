"""Show patches whose lesions are known: those that the lesion scores find, and those that they miss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.data.images import read_image, read_mask
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import shortened
from swcl_cli.reporting.figures.photographs import SHOWN_SIDE, show
from swcl_cli.reporting.figures.style import HIT, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.figures.texts import shortened as short
from swcl_cli.reporting.findings.names import slug, title
from swcl_cli.swap.lesion_masks import lesion_masks_of

SHOWN = 5  # patches a row, each of another photograph
AROUND = 3  # pixels between a lesion and its outline
LONGEST_LINE = 30  # letters below a patch
ROWS = ("with lesions, highest score", "with lesions, lowest score", "without lesion, highest score")


@dataclass(frozen=True)
class Patch:
    """Hold a patch (S, S, 3) with its lesions outlined, where it lies, its score and its kinds of lesion."""

    name: str
    score: float
    kinds: tuple[str, ...]
    pixels: NDArray[np.uint8]

    @property
    def words(self) -> str:
        return f"{self.name}: {self.score:.2f}"


def hits_and_misses(contents: Contents) -> list[Figure]:
    """Make a figure for each data set that lesion scores are judged on alone. What can't be read is named."""
    figures = []
    for name, judged in contents.judged.items():
        rows = [_read(contents, name, chosen) for chosen in chosen_patches(judged.patches)]
        if not any(rows):
            continue
        shown = [(words, row) for words, row in zip(ROWS, rows, strict=True) if row]
        told = "; ".join(f"{words}: {', '.join(patch.words for patch in row)}" for words, row in shown)
        figures.append(
            Figure(
                f"hits-and-misses-{slug(name)}",
                f"What the lesion scores find and miss in {title(name)}",
                "Patches that hold lesions, with those that score highest and lowest; below them patches without a "
                "lesion that score highest. Each row shows a photograph once. Lesions of the masks are outlined, "
                "their kinds stand below.",
                shortened(f"Patches of {title(name)} with their lesion scores. {told}."),
                partial(_draw, shown),
                photographic=True,
            )
        )
    return figures


def chosen_patches(patches: pd.DataFrame) -> list[pd.DataFrame]:
    """Choose the rows of JUDGED to be shown, for each of ROWS: the best or worst of a photograph, SHOWN at most."""
    holds = patches["lesions"].map(len) > 0
    chosen = []
    for rows, ascending in ((patches[holds], False), (patches[holds], True), (patches[~holds], False)):
        ranked = rows.sort_values(["score", "path", "position"], ascending=[ascending, True, True])
        chosen.append(ranked.drop_duplicates("path").head(SHOWN))
    return chosen


def _read(contents: Contents, dataset: str, rows: pd.DataFrame) -> list[Patch]:
    patches = [contents.attempt(partial(_patch, contents.root, dataset, row)) for row in rows.to_dict("records")]
    return [patch for patch in patches if patch is not None]


def _patch(root: Path, dataset: str, row: dict[Any, Any]) -> Patch:
    image, mask = read_image(root / row["path"]), read_mask(root / row["mask_path"])
    lesions = np.isin(mask, lesion_masks_of(dataset).values)
    pixels = _cut(image, row, image.shape[:2])
    side = min(SHOWN_SIDE, len(pixels))
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    held = cv2.resize(
        _cut(lesions, row, image.shape[:2]).astype(np.float32), (side, side), interpolation=cv2.INTER_AREA
    )
    drawn = outlined(small.astype(np.uint8), held > 0)
    drawn = drawn[:, ::-1] if row["mirrored"] else drawn
    return Patch(f"{short(row['image_id'], 14)} {row['position']}", row["score"], tuple(row["lesions"]), drawn)


def _cut(pixels: NDArray[Any], row: dict[Any, Any], shape: tuple[int, int]) -> NDArray[Any]:
    """Cut the patch's box out of a photograph, or of a mask of another size. shape: height, width of the photograph."""
    down, across = pixels.shape[0] / shape[0], pixels.shape[1] / shape[1]
    x, y, size = row["x"], row["y"], row["size"]
    return pixels[round(y * down) : round((y + size) * down), round(x * across) : round((x + size) * across)]


def outlined(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Draw outlines AROUND the parts of a mask (H, W) into a copy of the image (H, W, 3), clear of what lies inside."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * AROUND + 1, 2 * AROUND + 1))
    outlines, _ = cv2.findContours(cv2.dilate(mask.astype(np.uint8), kernel), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = image.copy()
    cv2.drawContours(drawn, outlines, -1, HIT, 1)
    return drawn


def _draw(rows: Sequence[tuple[str, Sequence[Patch]]], theme: Theme) -> Drawing:
    drawing = new_drawing(theme, 9.6, 2.6 * len(rows))
    panels = drawing.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for panel, (words, patches) in zip(panels, rows, strict=True):
        panel.suptitle(words, fontsize=10, x=0.01, ha="left")
        for axes, patch in zip(panel.subplots(1, SHOWN, squeeze=False)[0], patches, strict=False):
            show(axes, patch.pixels, patch.words, size=8)
            axes.set_xlabel(_lines(patch.kinds), fontsize=7)
        for axes in panel.axes[len(patches) :]:
            axes.set_axis_off()
    return drawing


def _lines(kinds: Sequence[str]) -> str:
    """Write kinds of lesion below a patch, in as many lines as they need."""
    lines = [""]
    for kind in kinds:
        added = f"{lines[-1]}, {kind}" if lines[-1] else kind
        lines = [*lines[:-1], added] if len(added) <= LONGEST_LINE else [*lines, kind]
    return "\n".join(lines)
