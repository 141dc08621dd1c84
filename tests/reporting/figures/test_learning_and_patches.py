from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from PIL import Image

from swcl_cli.data.images import read_image
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.learning import labeler_learning
from swcl_cli.reporting.figures.patches import CASING, cam_overlays, patch_construction, read_examples
from swcl_cli.reporting.figures.smoothing import running_mean
from swcl_cli.reporting.figures.style import ABNORMAL, DARK, LIGHT, NORMAL, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.page.rendering import render, slim
from swcl_cli.swap.crops import five_crops
from swcl_cli.workspace import LABELER, RunName


def _plain(theme: Theme) -> Drawing:
    figure = new_drawing(theme, 2, 1)
    figure.subplots().set_title("<b>$\\frac{</b> & _x^y")
    return figure


def test_a_figure_is_the_same_bytes_each_time() -> None:
    picture = Figure("p", "t", "s", "a", _plain)
    first, second = render(picture), render(picture)
    assert first == second
    assert first.size == (300, 150) and Image.open(io.BytesIO(first.png)).size == (600, 300)
    assert b"<dc:date>" not in first.svg and b"matplotlib.org" not in first.png
    assert re.search(rb"<b>[^<]*frac", first.svg) is None


@pytest.mark.parametrize("photographic", [False, True])
def test_the_dark_form_has_dark_paper(photographic: bool) -> None:
    drawn = render(Figure("p", "t", "s", "a", _plain, photographic))
    kind = "data:image/webp;base64," if photographic else "data:image/svg+xml;base64,"
    assert drawn.light.startswith(kind) and drawn.dark.startswith(kind)
    assert drawn.light != drawn.dark
    assert DARK.paper.encode() not in drawn.svg and LIGHT.paper.encode() in drawn.svg


def test_slim_drawings_keep_scales() -> None:
    drawn = b'<g transform="translate(1.23456 2) scale(0.015625)">\n   <!-- words -->\n  <path d="M 10.98765 7"/></g>'
    assert slim(drawn) == b'<g transform="translate(1.23 2) scale(0.015625)">\n<path d="M 10.98 7"/></g>'


def test_running_mean() -> None:
    values = np.arange(100, dtype=np.float64)
    assert running_mean(values)[:3].tolist() == [0, 0.5, 1.5]  # a fiftieth of 100 is 2
    assert running_mean(values[:5]).tolist() == values[:5].tolist()
    assert running_mean(values[:0]).tolist() == []


def test_boxes_lie_on_their_patches(contents: Contents) -> None:
    """The pixels under each box are those of the stored photograph's box, mirrored where the patch is."""
    assert contents.patches is not None
    examples = {example.path: example for example in read_examples(contents)}
    assert len(examples) == 14
    rows = contents.patches[contents.patches["path"].isin(list(examples))].to_dict("records")
    assert {row["mirrored"] for row in rows} == {True, False}
    for row in rows:
        example = examples[row["path"]]
        (box,) = [box for box in example.boxes if box.position == row["position"]]
        stored = read_image(contents.root / row["path"])
        patch = stored[row["y"] : row["y"] + row["size"], row["x"] : row["x"] + row["size"]]
        patch = patch[:, ::-1] if row["mirrored"] else patch
        assert (example.square[box.y : box.y + box.size, box.x : box.x + box.size] == patch).all()
        assert box.position[-1] != "l" or box.x == 0


@pytest.mark.parametrize("mirrored", [False, True])
def test_boxes_of_turned_photographs_lie_on_their_patches(contents: Contents, mirrored: bool) -> None:
    """As `make-swap --align` lays them: the stored square is turned by 180 degrees, then mirrored; so is each patch."""
    assert contents.patches is not None
    path = next(iter(contents.cams))
    stored = read_image(contents.root / path)
    side, left = min(stored.shape[:2]), round((stored.shape[1] - min(stored.shape[:2])) / 2)
    size, rows = side // 2, list[dict[str, Any]]()
    for position, (x, y) in five_crops(side, side, size).items():
        x = x if mirrored else side - size - x  # turned and mirrored is top for bottom alone
        place = {"x": left + x, "y": side - size - y, "size": size, "rotated": True, "mirrored": mirrored}
        rows.append(
            {"path": path, "position": position, "score": 0.5, "abnormal": True, "image_abnormal": None, **place}
        )
    checksum = contents.patches.set_index("path").loc[path, "checksum"].iloc[0]
    contents.patches = pd.DataFrame(rows).assign(checksum=checksum)
    (example,) = read_examples(contents)
    square = np.rot90(stored[:, left : left + side], 2)
    square = np.fliplr(square) if mirrored else square
    np.testing.assert_array_equal(example.square, square)
    for row, box in zip(rows, example.boxes, strict=True):
        patch = np.rot90(stored[row["y"] : row["y"] + size, row["x"] : row["x"] + size], 2)
        patch = np.fliplr(patch) if mirrored else patch
        np.testing.assert_array_equal(example.square[box.y : box.y + size, box.x : box.x + size], patch)
        assert (box.x, box.y) == five_crops(side, side, size)[box.position]


def test_an_unreadable_photograph_is_named_and_left_out(contents: Contents) -> None:
    path = next(iter(contents.cams))
    (contents.root / path).write_bytes(b"")
    assert len(read_examples(contents)) == 13
    assert len(contents.damaged) == 1 and path in contents.damaged[0] and str(contents.root) not in contents.damaged[0]


def test_a_photograph_that_was_prepared_anew_is_named_and_left_out(contents: Contents) -> None:
    """Its boxes and its map are those of another picture."""
    path = next(iter(contents.cams))
    image = Image.open(contents.root / path)
    image.resize((image.width // 2, image.height // 2)).save(contents.root / path)
    assert path not in {example.path for example in read_examples(contents)}
    assert len(contents.damaged) == 1 and path in contents.damaged[0] and "make-swap --fresh" in contents.damaged[0]


def _rectangles(picture: Figure) -> list[list[Rectangle]]:
    """The boxes on each map of a figure, in the order of its panels."""
    panels = picture.draw(LIGHT).get_axes()
    boxes = [[patch for patch in axes.patches if isinstance(patch, Rectangle)] for axes in panels]
    return [found[1::2] for found in boxes if found]


def test_boxes_have_a_dark_casing_and_their_words_no_line_through_them(contents: Contents) -> None:
    """Whatever colour the map has below; and no line of another box runs through a box's words."""
    examples = read_examples(contents)
    for picture in (cam_overlays(contents, examples), patch_construction(contents, examples)):
        assert picture is not None
        drawing = picture.draw(LIGHT)
        drawing.draw_without_rendering()
        maps = [axes for axes in drawing.get_axes() if len(axes.texts) == 5]
        assert len(maps) in (2, 12)
        for axes in maps:
            boxes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
            casings, lines = boxes[::2], boxes[1::2]
            for casing, line in zip(casings, lines, strict=True):
                assert casing.get_bbox().bounds == line.get_bbox().bounds and casing.get_linestyle() == "-"
                assert to_hex(casing.get_edgecolor()) == CASING and casing.get_linewidth() >= line.get_linewidth() + 1
            for place, text in enumerate(axes.texts):
                words = text.get_window_extent().transformed(axes.transData.inverted())
                for box in lines[:place] + lines[place + 1 :]:
                    x0, y0, x1, y1 = box.get_bbox().extents
                    left, right = sorted((words.x0, words.x1))
                    low, high = sorted((words.y0, words.y1))
                    across = any(left < x < right for x in (x0, x1)) and low < y1 and high > y0
                    along = any(low < y < high for y in (y0, y1)) and left < x1 and right > x0
                    assert not (across or along), (picture.name, text.get_text())


@pytest.mark.parametrize("epochs", [1, 2])
def test_the_interval_of_a_single_epoch_is_a_bar(contents: Contents, epochs: int) -> None:
    steps = [{"step": step, "loss": 1.0} for step in range(9)]
    probes = [
        {"step": 4 + 4 * epoch, "epoch": epoch, "auc": 0.7, "auc_low": 0.6, "auc_high": 0.8} for epoch in range(epochs)
    ]
    contents.logs[RunName(LABELER)] = pd.DataFrame([*steps, *probes])
    picture = labeler_learning(contents)
    assert picture is not None and ("(bar)" in picture.sentence) is (epochs == 1)
    _, below = picture.draw(LIGHT).get_axes()
    (drawn,) = below.collections
    assert isinstance(drawn, LineCollection if epochs == 1 else PolyCollection)
    heights = np.concatenate([np.asarray(path.vertices)[:, 1] for path in drawn.get_paths()])
    assert (heights.min(), heights.max()) == pytest.approx((0.6, 0.8))
    contents.logs[RunName(LABELER)] = pd.DataFrame(steps)
    picture = labeler_learning(contents)
    assert picture is not None and "AUC" not in picture.sentence


def test_boxes_are_green_below_the_threshold_and_dashed_red_from_it_on(contents: Contents) -> None:
    """On unlabelled photographs, above, and labelled ones, below; scores are 0.1, 0.3, 0.4, 0.5, 0.6, and t is 0.4."""
    examples = read_examples(contents)
    picture = cam_overlays(contents, examples)
    assert picture is not None and "solid green below t = 0.4, dashed red from it on" in picture.sentence
    rows = [[one for one in examples if (one.label is None) == unlabelled][:6] for unlabelled in (True, False)]
    shown = [example for row in rows for example in row]
    found = _rectangles(picture)
    assert len(found) == len(shown) == 12 and {example.label for example in shown} == {None, True, False}
    for boxes, example in zip(found, shown, strict=True):
        outlines = [(to_hex(box.get_edgecolor()).upper(), box.get_linestyle()) for box in boxes]
        expected = [(ABNORMAL, "--") if box.score >= np.float32(0.4) else (NORMAL, "-") for box in example.boxes]
        assert outlines == expected and len(outlines) == 5
        assert example.label is False or outlines == [(NORMAL, "-")] * 2 + [(ABNORMAL, "--")] * 3
