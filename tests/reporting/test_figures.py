from __future__ import annotations

import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from swcl_cli.data.images import read_image
from swcl_cli.reporting.charts import confusion, score_histogram
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.curves import running_mean
from swcl_cli.reporting.patch_figures import read_examples
from swcl_cli.reporting.segmentation_figures import outcome_colours, segmentations
from swcl_cli.reporting.style import DARK, FALSE_ALARM, HIT, LIGHT, MISS, Picture, Theme, new_figure, render


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
    ):
        assert words in picture.alt
