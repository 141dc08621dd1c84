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
from swcl_cli.reporting.findings.percentages import percent
from swcl_cli.swap.lesion_masks import LESION_VALUES

SHOWN = 5  # patches a row, each of another photograph
AROUND = 3  # pixels between a lesion and its outline
LONGEST_LINE, LONGEST_ID = 30, 14  # letters below a patch, and of the id above it
QUARTER = 0.25  # of the patches: those with the most lesion, and as many with the least
ROWS = ("much lesion, highest score", "much lesion, lowest score", "little or no lesion, highest score")


@dataclass(frozen=True)
class Patch:
    """Hold a patch (S, S, 3) with its lesions outlined, where it lies, its score, and what its lesions are."""

    name: str
    score: float
    share: float
    kinds: tuple[str, ...]
    pixels: NDArray[np.uint8]

    @property
    def words(self) -> str:
        return f"{self.name}: {self.score:.2f}"


def hits_and_misses(contents: Contents) -> list[Figure]:
    """Make a figure for each data set that lesion scores are judged on alone. What can't be read is named."""
    figures = []
    for name, judged in contents.judged.items():
        values = judged.artefact.provenance.get(LESION_VALUES) or []
        rows = [_read(contents, values, chosen) for chosen in chosen_patches(judged.patches)]
        if not any(rows):
            continue
        shown = [(words, row) for words, row in zip(ROWS, rows, strict=True) if row]
        told = "; ".join(f"{words}: {', '.join(patch.words for patch in row)}" for words, row in shown)
        figures.append(
            Figure(
                f"hits-and-misses-{slug(name)}",
                f"What the lesion scores find and miss in {title(name)}",
                "The quarter of the patches of which lesions fill the largest share: those that score highest, and "
                "those that score lowest; below them, of the quarter with the smallest share, those that score "
                "highest. Each row shows a photograph once. Lesions of the masks are outlined; below stand their "
                "share of the pixels and their kinds.",
                shortened(f"Patches of {title(name)} with their lesion scores. {told}."),
                partial(_draw, shown),
                photographic=True,
            )
        )
    return figures


def chosen_patches(patches: pd.DataFrame) -> list[pd.DataFrame]:
    """Choose the rows of JUDGED to be shown, for each of ROWS: the best or worst of a photograph, SHOWN at most."""
    share = patches["lesion_share"]
    much = patches[(share >= share.quantile(1 - QUARTER)) & (share > 0)]
    little = patches[share <= share.quantile(QUARTER)]
    chosen = []
    for rows, ascending in ((much, False), (much, True), (little, False)):
        ranked = rows.sort_values(["score", "path", "position"], ascending=[ascending, True, True])
        chosen.append(ranked.drop_duplicates("path").head(SHOWN))
    return chosen


def _read(contents: Contents, values: Sequence[int], rows: pd.DataFrame) -> list[Patch]:
    patches = [contents.attempt(partial(_patch, contents.root, values, row)) for row in rows.to_dict("records")]
    return [patch for patch in patches if patch is not None]


def _patch(root: Path, values: Sequence[int], row: dict[Any, Any]) -> Patch:
    """Read a patch. values: of pixels of its mask that hold a lesion."""
    image, mask = read_image(root / row["path"]), read_mask(root / row["mask_path"])
    pixels, held = _cut(image, row, image), _cut(np.isin(mask, values), row, image)
    side = min(SHOWN_SIDE, len(pixels))
    small, lesions = (
        cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA) for part in (pixels, held.astype(np.float32))
    )
    drawn = outlined(np.asarray(small, np.uint8), np.asarray(lesions > 0))
    name = f"{short(row['image_id'], LONGEST_ID)} {row['position']}"
    kinds = tuple(row["lesions"])
    drawn = drawn[::-1, ::-1] if row["rotated"] else drawn
    return Patch(name, row["score"], row["lesion_share"], kinds, drawn[:, ::-1] if row["mirrored"] else drawn)


def _cut(pixels: NDArray[Any], row: dict[Any, Any], photograph: NDArray[np.uint8]) -> NDArray[Any]:
    """Cut the patch's box out of its photograph, or out of a mask of another size."""
    down, across = pixels.shape[0] / photograph.shape[0], pixels.shape[1] / photograph.shape[1]
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
            axes.set_xlabel(_lines([_percent(patch.share), *patch.kinds]), fontsize=7)
        for axes in panel.axes[len(patches) :]:
            axes.set_axis_off()
    return drawing


def _percent(share: float) -> str:
    """Write a share of pixels; one that is too small for a tenth of a percent is not called none."""
    return "under 0.1 %" if 0 < share < 0.0005 else f"{percent(share)} %"


def _lines(words: Sequence[str]) -> str:
    """Write words below a patch, in as many lines as they need."""
    lines = [""]
    for word in words:
        added = f"{lines[-1]}, {word}" if lines[-1] else word
        lines = [*lines[:-1], added] if len(added) <= LONGEST_LINE else [*lines, word]
    return "\n".join(lines)
