from __future__ import annotations

import io
import re

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from swcl_cli.data.images import read_image
from swcl_cli.reporting.charts import confusion, score_histogram
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.curves import running_mean
from swcl_cli.reporting.labeler import labeler_charts
from swcl_cli.reporting.patch_figures import cam_overlays, read_examples
from swcl_cli.reporting.score_curves import Scored, reliability_chart, roc_chart
from swcl_cli.reporting.segmentation_figures import outcome_colours, segmentations
from swcl_cli.reporting.style import (
    ABNORMAL,
    DARK,
    FALSE_ALARM,
    HIT,
    LIGHT,
    MISS,
    NORMAL,
    Picture,
    Theme,
    new_figure,
    render,
)


def _plain(theme: Theme) -> Figure:
    figure = new_figure(theme, 2, 1)
    figure.subplots().set_title("<b>$\\frac{</b> & _x^y")
    return figure


def test_a_figure_is_the_same_bytes_each_time() -> None:
    picture = Picture("p", "t", "s", "a", _plain)
    first, second = render(picture), render(picture)
    assert (first.png, first.svg, first.light, first.dark) == (second.png, second.svg, second.light, second.dark)
    assert first.size == (300, 150) == Image.open(io.BytesIO(first.png)).size
    assert b"<dc:date>" not in first.svg and b"matplotlib.org" not in first.png
    assert re.search(rb"<b>[^<]*frac", first.svg) is None


@pytest.mark.parametrize("photographic", [False, True])
def test_the_dark_form_has_dark_paper(photographic: bool) -> None:
    drawn = render(Picture("p", "t", "s", "a", _plain, photographic))
    kind = "data:image/webp;base64," if photographic else "data:image/svg+xml;base64,"
    assert drawn.light.startswith(kind) and drawn.dark.startswith(kind)
    assert drawn.light != drawn.dark
    assert DARK.paper.encode() not in drawn.svg and LIGHT.paper.encode() in drawn.svg


def test_confusion_counts_rows_as_truth() -> None:
    truth, prediction = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 2, 2])
    assert confusion(truth, prediction, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


def test_running_mean() -> None:
    values = np.arange(100, dtype=np.float64)
    assert running_mean(values)[:3].tolist() == [0, 0.5, 1.5]  # a fiftieth of 100 is 2
    assert running_mean(values[:5]).tolist() == values[:5].tolist()
    assert running_mean(values[:0]).tolist() == []


def test_colours_of_outcomes() -> None:
    truth, predicted = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    assert outcome_colours(truth, predicted)[0].tolist() == [list(HIT), list(MISS), list(FALSE_ALARM), [0, 0, 0]]


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


def test_an_unreadable_photograph_is_named_and_left_out(contents: Contents) -> None:
    path = next(iter(contents.cams))
    (contents.root / path).write_bytes(b"")
    assert len(read_examples(contents)) == 13
    assert len(contents.damaged) == 1 and path in contents.damaged[0] and str(contents.root) not in contents.damaged[0]


def test_a_missing_map_leaves_out_its_initialisation(contents: Contents) -> None:
    (contents.root / "finetune/drive/swcl/seed0/maps/test0_left.png").unlink()
    (picture,) = segmentations(contents)
    assert "random, worst 50.0; random, best 100.0" in picture.alt and "swcl" not in picture.alt
    assert len(contents.damaged) == 1


def test_labelled_and_unlabelled_scores_are_apart(contents: Contents) -> None:
    picture = score_histogram(contents)
    assert picture is not None
    for words in (
        "no image label: 40 patches",
        "labelled abnormal: 40 patches",
        "labelled normal (score set to 0): 20",
        "Abnormal: 64 (64.0 %) at t = 0.3, 48 (48.0 %) at t = 0.4, 32 (32.0 %) at t = 0.5.",
    ):
        assert words in picture.alt


def _rectangles(picture: Picture) -> list[list[Rectangle]]:
    """The boxes on each map of a figure, in the order of its panels."""
    panels = picture.draw(LIGHT).get_axes()
    boxes = [[patch for patch in axes.patches if isinstance(patch, Rectangle)] for axes in panels]
    return [found for found in boxes if found]


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


def test_roc_and_reliability_of_the_labeler(contents: Contents) -> None:
    roc, diagram = labeler_charts(contents)
    assert "labeler: AUC 75.0 [75.0, 75.0], at 0.5 sensitivity 50.0 and specificity 50.0" in roc.alt
    assert "4 validation photographs, 2 of them abnormal" in roc.sentence
    assert (
        "ECE 32.5, by bins 5.0 predicted, 0.0 observed (n = 1), 45.0 predicted, 100.0 observed (n = 1)" in diagram.alt
    )
    (axes,) = roc.draw(LIGHT).get_axes()
    legend = axes.get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["labeler: AUC 75.0 [75.0, 75.0]"]
    curve, dot = axes.lines[1:]
    assert np.asarray(curve.get_xydata()).tolist() == [[0, 0], [0, 50], [50, 50], [50, 100], [100, 100]]
    assert np.asarray(dot.get_xydata()).tolist() == [[50, 50]]
    above, below = diagram.draw(LIGHT).get_axes()
    assert above.lines[1].get_xdata() == pytest.approx([5, 45, 60, 90])
    assert above.lines[1].get_ydata() == pytest.approx([0, 100, 0, 100])
    assert [bar.get_height() for bar in below.patches] == [1, 0, 0, 0, 1, 0, 1, 0, 1, 0]  # type: ignore[attr-defined]
    contents.labeler_scores = None
    assert labeler_charts(contents) == []


def test_several_curves_have_lines_of_their_own() -> None:
    truth = np.arange(40) % 2 == 0
    score = np.linspace(0, 1, 40)
    scored = [Scored(f"<{place}>", truth, np.roll(score, place), np.arange(40).astype(str), 0) for place in range(11)]
    axes = roc_chart("roc", "ROC", "Many.", scored).draw(LIGHT).get_axes()[0]
    curves = [line for line in axes.lines if str(line.get_label()).startswith("<")]
    assert len({(line.get_color(), line.get_linestyle()) for line in curves}) == 11
    reliability = reliability_chart("r", "R", "Many.", scored).draw(LIGHT).get_axes()
    assert len(reliability[1].patches) == 11 * 10 and not reliability[1].texts
