"""Draw figures of weak labels: how patches are cut and scored (Fig. 1), and where the labeler sees disease (Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from swcl_cli.data.images import CUT_AGAIN, read_image
from swcl_cli.data.pixels import center_crop_box
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.photographs import show
from swcl_cli.reporting.figures.style import ABNORMAL, NARROWEST, NORMAL, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.swap.crops import POSITIONS

CENTRE = "c"

COLOURMAP = "viridis"
COLUMNS = 6
CASING = "#101010"
WORDS = {None: "no label", False: "labelled normal", True: "labelled abnormal"}


@dataclass(frozen=True)
class Box:
    """Describe a patch: where it lies in its example's square, in pixels, with its lesion score and weak label."""

    position: str
    x: int
    y: int
    size: int
    score: float
    abnormal: bool


@dataclass(frozen=True)
class Example:
    """Hold a photograph's central square (S, S, 3), laid as its patches are, and its map (S, S), 255 = 1."""

    path: str
    square: NDArray[np.uint8]
    cam: NDArray[np.uint8]
    boxes: list[Box]
    label: bool | None

    @property
    def spread(self) -> float:
        scores = [box.score for box in self.boxes]
        return max(scores) - min(scores)


def read_examples(contents: Contents) -> list[Example]:
    """Read the photographs whose maps were kept.

    Those that can't be read, or were prepared anew since their patches were cut, are named among the damaged files.
    """
    if contents.patches is None:
        return []
    kept = contents.patches[contents.patches["path"].isin(list(contents.cams))]
    examples = [
        contents.attempt(partial(_example, contents, str(path), rows.to_dict("records")))
        for path, rows in kept.groupby("path", sort=True)
    ]
    return [example for example in examples if example is not None]


def _example(contents: Contents, path: str, rows: Sequence[dict[Any, Any]]) -> Example:
    read_image(contents.root / path)  # first, so that a damaged file is told from one that was prepared anew
    image = read_image(contents.root / path, int(rows[0]["checksum"]), CUT_AGAIN)
    side = min(image.shape[:2])
    left, top = center_crop_box(image.shape[0], image.shape[1], side)
    square = image[top : top + side, left : left + side]
    rotated, mirrored = bool(rows[0]["rotated"]), bool(rows[0]["mirrored"])
    boxes = []
    for row in rows:
        x, y, size = row["x"] - left, row["y"] - top, row["size"]
        x = side - x - size if rotated != mirrored else x
        y = side - y - size if rotated else y
        boxes.append(Box(row["position"], x, y, size, row["score"], row["abnormal"]))
    boxes.sort(key=lambda box: POSITIONS.index(box.position))
    square = square[::-1, ::-1] if rotated else square
    return Example(path, square[:, ::-1] if mirrored else square, contents.cams[path], boxes, rows[0]["image_abnormal"])


def patch_construction(contents: Contents, examples: Sequence[Example]) -> Figure | None:
    """Make Fig. 1, with the photograph whose five scores differ most."""
    if not examples or contents.swap is None:
        return None
    example = max(examples, key=lambda example: (example.spread, example.path))
    scores = ", ".join(f"{box.position} {box.score:.2f}" for box in example.boxes)
    zeroed = ", background counting as zero" if contents.swap.settings.get("background") == "released" else ""
    return Figure(
        "patch-construction",
        "How patches are cut and scored",
        "A photograph and its class activation map are cut into the same five patches; a patch's lesion score is the "
        f"mean of the map inside it{zeroed}.",
        f"A photograph, its class activation map, and its five patches with their lesion scores: {scores}.",
        partial(_draw_construction, example),
        photographic=True,
    )


def _draw_construction(example: Example, theme: Theme) -> Drawing:
    drawing = new_drawing(theme, 7.2, 5.5)
    above, below = drawing.subfigures(2, 1, squeeze=False, height_ratios=(2.3, 1))[:, 0]
    photograph, cam = above.subplots(1, 2)
    show(photograph, example.square, "photograph", size=10)
    show(cam, under_its_map(example, 0.7), "class activation map", size=10)
    above.colorbar(ScalarMappable(cmap=COLOURMAP), ax=cam, shrink=0.85, label="probability of abnormal")
    for axes in (photograph, cam):
        _boxes(axes, example, names=True)
    for axes, box in zip(below.subplots(1, len(example.boxes)), example.boxes, strict=True):
        patch = example.square[box.y : box.y + box.size, box.x : box.x + box.size]
        show(axes, patch, f"{box.position}: {box.score:.2f}")
        axes.set_xlabel("abnormal" if box.abnormal else "normal", fontsize=9)
        colour, style = _outline(box)
        for spine in axes.spines.values():
            spine.set(visible=True, color=colour, linestyle=style, linewidth=2.5)
    return drawing


def cam_overlays(contents: Contents, examples: Sequence[Example]) -> Figure | None:
    """Make Fig. 3: photographs without and with an image label, each with its map and boxes below it."""
    rows = [[example for example in examples if (example.label is None) == unlabelled] for unlabelled in (True, False)]
    rows = [row[:COLUMNS] for row in rows if row]
    if not rows or contents.swap is None:
        return None
    threshold = f"t = {contents.swap.settings['threshold']:g}"
    boxes = [box for row in rows for example in row for box in example.boxes]
    return Figure(
        "cam-overlays",
        "Where the labeler sees disease",
        "Photographs, and below each its class activation map with the five patches and their lesion scores: solid "
        f"green below {threshold}, dashed red from it on. Patches of photographs labelled normal score 0, whatever "
        "the map says.",
        f"{counted(len(boxes) // 5, 'photographs')} with class activation maps; "
        f"{sum(box.abnormal for box in boxes)} of the {len(boxes)} patches in them are abnormal.",
        partial(_draw_overlays, rows, threshold),
        photographic=True,
    )


def _draw_overlays(rows: Sequence[Sequence[Example]], threshold: str, theme: Theme) -> Drawing:
    columns = max(len(row) for row in rows)
    side = 9.6 / COLUMNS
    drawing = new_drawing(theme, max(side * columns, NARROWEST), 0.9 + len(rows) * (0.25 + 2 * side))
    panels = drawing.subplots(2 * len(rows), columns, squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    for place, row in enumerate(rows):
        for column, example in enumerate(row):
            above, below = panels[2 * place, column], panels[2 * place + 1, column]
            show(above, example.square, WORDS[example.label])
            show(below, under_its_map(example, 0.55))
            _boxes(below, example, scores=True)
    marks = [
        Line2D([], [], color=NORMAL, label=f"below {threshold}"),
        Line2D([], [], color=ABNORMAL, linestyle="--", label=f"{threshold} and above"),
    ]
    drawing.legend(handles=marks, loc="outside lower left", ncols=2)
    scale = ScalarMappable(cmap=COLOURMAP)
    drawing.colorbar(scale, ax=panels, location="bottom", shrink=0.5, aspect=50, label="probability of abnormal")
    return drawing


def under_its_map(example: Example, alpha: float) -> NDArray[np.uint8]:
    """Lay `alpha` of the map's colours over the photograph (S, S, 3)."""
    height, width = example.square.shape[:2]
    colours = 255 * colormaps[COLOURMAP](np.arange(256))[:, :3]
    cam = cv2.resize(example.cam, (width, height), interpolation=cv2.INTER_LINEAR)
    mixed: NDArray[np.uint8] = np.rint((1 - alpha) * example.square + alpha * colours[cam]).astype(np.uint8)
    return mixed


def _boxes(axes: Axes, example: Example, names: bool = False, scores: bool = False) -> None:
    """Draw the five boxes a little inside their edges, so that neighbours stay apart, on a dark casing, which any map
    lets be seen. What a box is called stands in a corner of its own, clear of the lines of all others.
    """
    inset = 0.013 * len(example.square)
    for box in example.boxes:
        colour, style = _outline(box)
        corner, side = (box.x + inset, box.y + inset), box.size - 2 * inset
        for edge, dashes, width in ((CASING, "-", 3.2), (colour, style, 1.6)):
            axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=edge, linestyle=dashes, linewidth=width))
        words = box.position if names else f"{box.score:.2f}" if scores else ""
        right, below = box.position.endswith("r") and box.position != CENTRE, box.position.startswith("b")
        place = corner[0] + right * side, corner[1] + below * side
        axes.annotate(
            words, place, (-3 if right else 3, 3 if below else -3), textcoords="offset points", color="white",
            fontsize=6.5, ha="right" if right else "left", va="bottom" if below else "top",
            bbox={"boxstyle": "square,pad=0.15", "facecolor": CASING, "edgecolor": "none"},
        )  # fmt: skip


def _outline(box: Box) -> tuple[str, str]:
    return (ABNORMAL, "--") if box.abnormal else (NORMAL, "-")
