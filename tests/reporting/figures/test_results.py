from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from swcl_cli.catalogue.labels import Label
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.classification import classification_figures
from swcl_cli.reporting.figures.confusions import confusion, confusion_matrices
from swcl_cli.reporting.figures.lesion_scores import lesion_scores
from swcl_cli.reporting.figures.results import TALLEST, results_figures
from swcl_cli.reporting.figures.style import DARK, LIGHT
from tests.reporting.predictions import classified, contents_of, results


def _title(axes: Axes) -> str:
    return axes.get_title() or axes.get_title("left")


def test_each_run_is_a_dot_and_their_mean_a_bar(contents: Contents) -> None:
    (picture,) = results_figures(contents)
    assert picture.name == "results"
    assert "IDRiD: random 50.0; imagenet 100.0; swcl 83.3. DRIVE: random 75.0; swcl 75.0." in picture.alt
    idrid, drive = picture.draw(LIGHT).get_axes()
    assert [np.asarray(line.get_xdata()).tolist() for line in idrid.lines] == [[25, 50, 75], [100] * 3, [75, 75, 100]]
    assert _title(drive).startswith("DRIVE: F1 on test")


def test_many_tasks_and_initialisations_have_a_picture_a_task(tmp_path: Path) -> None:
    measured = [
        results(task, f"initialisation-{place}", "seed0", "f1", 0.5)
        for task in ("drive", "stare", "chase-db1")
        for place in range(11)
        if task != "stare" or place < 2
    ]
    pictures = results_figures(contents_of(tmp_path, [], measured))
    assert [picture.name for picture in pictures] == ["results-drive", "results-chase-db1", "results-stare"]
    assert all(picture.draw(LIGHT).get_figheight() <= TALLEST for picture in pictures)
    assert all(len(picture.alt) <= 600 for picture in pictures)
    rows = [[tick.get_text() for tick in picture.draw(LIGHT).get_axes()[0].get_yticklabels()] for picture in pictures]
    assert list(map(len, rows)) == [11, 11, 2] and rows[2] == ["initialisation-0", "initialisation-1"]


def test_without_a_test_score_there_is_no_chart(tmp_path: Path) -> None:
    assert results_figures(contents_of(tmp_path, [])) == []
    validated = results("drive", "swcl", "seed0", "f1", 0.5, split="val")
    assert results_figures(contents_of(tmp_path, [], [validated])) == []


def test_confusion_counts_rows_as_truth() -> None:
    truth, prediction = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 2, 2])
    assert confusion(truth, prediction, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


def test_a_matrix_an_initialisation_and_a_picture_a_label(contents: Contents) -> None:
    dr, dme = confusion_matrices(contents)
    assert (dr.name, dme.name) == ("confusion-idrid-dr-grade", "confusion-idrid-dme-grade")
    assert "random 50.0 % right; imagenet 100.0 % right; swcl 83.3 % right" in dr.alt
    panels = dr.draw(LIGHT).get_axes()
    assert [_title(axes) for axes in panels] == ["random", "imagenet", "swcl"]
    counts = [int(text.get_text()) for text in panels[0].texts]
    assert sum(counts) == 12  # 4 photographs, 3 runs
    assert counts[:5] == [3, 0, 0, 0, 0]  # class 0 is the first photograph's, which is right in all three


def test_classes_of_peoples_own_have_their_names(tmp_path: Path) -> None:
    """Those that nobody is said to have, too; without an order there is no ROC curve of several."""
    predictions = [classified("folder-eyes", "swcl", "seed0", (0, 0, 1), (0.1, 0.9, 0.9), head="sign")]
    contents = contents_of(tmp_path, predictions)
    contents.labels["folder-eyes", "sign"] = Label("sign", "classes", "sign", names=("healthy", "AMD", "DR"))
    (picture,) = confusion_matrices(contents)
    (axes,) = picture.draw(LIGHT).get_axes()
    for axis in (axes.xaxis, axes.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["healthy", "AMD", "DR"]
    assert [text.get_text() for text in axes.texts] == ["1", "1", "0", "0", "1", "0", "0", "0", "0"]
    assert classification_figures(contents) == []
    contents.labels["folder-eyes", "sign"] = Label("sign", "classes", "sign", names=("healthy", "AMD"))
    roc, _ = classification_figures(contents)
    assert roc.title == "ROC curves, folder-eyes: AMD"
    assert "1 photograph of class AMD and 2 photographs of class healthy" in roc.sentence


def test_numbers_keep_their_ink_on_dark_paper(tmp_path: Path) -> None:
    """A cell's colour is the same on both, so its number's must be none of those that change with the paper."""
    predictions = [classified("refuge-cls", "swcl", "seed0", (0, 0, 0, 1, 1), (0.1, 0.1, 0.9, 0.9, 0.9))]
    (picture,) = confusion_matrices(contents_of(tmp_path, predictions))
    inks = {to_hex(text.get_color()) for text in picture.draw(LIGHT).get_axes()[0].texts}
    assert len(inks) == 2 and not inks & {LIGHT.paper, LIGHT.ink, LIGHT.faint, DARK.paper, DARK.ink}


@pytest.mark.parametrize(("split", "words"), [("test", "test photographs"), ("val", "validation photographs")])
def test_the_sentence_says_which_photographs(tmp_path: Path, split: str, words: str) -> None:
    predictions = [classified("refuge-cls", "swcl", "seed0", (0, 1), (0.1, 0.9), split=split)]
    (picture,) = confusion_matrices(contents_of(tmp_path, predictions))
    assert f"numbers count {words} over all runs" in picture.sentence


def test_labelled_and_unlabelled_scores_are_apart(contents: Contents) -> None:
    picture = lesion_scores(contents)
    assert picture is not None
    for words in (
        "no image label: 40 patches",
        "labelled abnormal: 40 patches",
        "labelled normal (score set to 0): 20",
        "Abnormal: 64 (64.0 %) at t = 0.3, 48 (48.0 %) at t = 0.4, 32 (32.0 %) at t = 0.5.",
    ):
        assert words in picture.alt
