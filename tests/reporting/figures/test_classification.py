from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.classification import classification_figures
from swcl_cli.reporting.figures.style import LIGHT, Figure
from swcl_cli.reporting.tables.results import results_table
from tests.reporting.predictions import classified, contents_of, results

TRUTH = (0, 0, 1, 1)
PERFECT, MIXED, WRONG = (0.1, 0.2, 0.8, 0.9), (0.1, 0.8, 0.2, 0.9), (0.9, 0.8, 0.2, 0.1)  # AUC 1, 0.75, 0


def _legend(picture: Figure) -> list[str]:
    legend = picture.draw(LIGHT).get_axes()[0].get_legend()
    assert legend is not None
    *curves, chance = [text.get_text() for text in legend.get_texts()]
    assert chance == "chance"
    return curves


def _refuge(root: Path, seeds: int) -> Contents:
    scores, aucs = (PERFECT, MIXED, WRONG)[:seeds], (1.0, 0.75, 0.0)
    predictions = [classified("refuge-cls", "swcl", f"seed{run}", TRUTH, score) for run, score in enumerate(scores)]
    measured = [results("refuge-cls", "swcl", f"seed{run}", "auc", aucs[run]) for run in range(seeds)]
    return contents_of(root, predictions, measured)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_auc_reads_as_in_table_ii(tmp_path: Path, seeds: int) -> None:
    contents = _refuge(tmp_path, seeds)
    roc, _ = classification_figures(contents)
    table = results_table(contents)
    assert table is not None
    shown = next(cell.text for cell in table.rows[0] if "(n =" in cell.text)
    if seeds > 1:
        shown = re.sub(r" \[.*\]", "", shown)  # of several seeds the figure has no interval
    assert _legend(roc) == [f"swcl: {shown}"]


def test_a_picture_a_label_and_kind(tmp_path: Path) -> None:
    predictions = [
        classified("idrid", name, "seed0", truth, PERFECT, head=head)
        for name in ("random", "swcl")
        for head, truth in (("dr_grade", (0, 0, 3, 1)), ("dme_grade", (0, 0, 2, 1)))
    ]
    pictures = classification_figures(contents_of(tmp_path, predictions))
    assert [picture.name for picture in pictures] == [
        "roc-idrid-dr-grade",
        "reliability-idrid-dr-grade",
        "roc-idrid-dme-grade",
        "reliability-idrid-dme-grade",
    ]
    assert "On 4 test photographs: 2 photographs with retinopathy and 2 photographs without." in pictures[0].sentence
    assert _legend(pictures[2]) == ["random: 100.0 (n = 1)", "swcl: 100.0 (n = 1)"]


def test_validation_is_shown_only_where_nothing_was_tested(tmp_path: Path) -> None:
    validated = classified("refuge-cls", "swcl", "seed0", TRUTH, MIXED, split="val")
    (roc, _) = classification_figures(contents_of(tmp_path, [validated]))
    assert "On 4 validation photographs" in roc.sentence and "Nothing was measured on test" in roc.sentence
    tested = classified("refuge-cls", "random", "seed0", TRUTH, PERFECT)
    (roc, _) = classification_figures(contents_of(tmp_path, [validated, tested]))
    assert _legend(roc) == ["random: 100.0 (n = 1)"]
    assert "On 4 test photographs" in roc.sentence and "Nothing was measured" not in roc.sentence


def test_a_class_that_is_absent_gives_no_curve_and_a_reason(tmp_path: Path) -> None:
    predictions = [classified("refuge-cls", "swcl", "seed0", (0, 0, 0, 0), MIXED)]
    (diagram,) = classification_figures(contents_of(tmp_path, predictions))
    assert diagram.name == "reliability-refuge-cls"
    assert "No ROC curve of swcl: no run had both kinds to tell apart." in diagram.sentence


def test_runs_without_both_kinds_are_in_no_average(tmp_path: Path) -> None:
    predictions = [
        classified("refuge-cls", "swcl", "fold0", TRUTH, MIXED),
        classified("refuge-cls", "swcl", "fold1", (0, 0, 0, 0), MIXED),
    ]
    roc, diagram = classification_figures(contents_of(tmp_path, predictions))
    assert _legend(roc) == ["swcl: 75.0 (n = 1)"]
    assert "(n = 8)" not in roc.sentence
    bars = diagram.draw(LIGHT).get_axes()[1].patches
    assert sum(bar.get_height() for bar in bars if isinstance(bar, Rectangle)) == 8


def test_alt_texts_stay_short_with_many_initialisations(tmp_path: Path) -> None:
    predictions = [classified("refuge-cls", f"initialisation-{place}", "seed0", TRUTH, MIXED) for place in range(40)]
    for picture in classification_figures(contents_of(tmp_path, predictions)):
        assert len(picture.alt) <= 600


def test_no_predictions_no_pictures(tmp_path: Path) -> None:
    assert classification_figures(contents_of(tmp_path, [])) == []


def test_the_stored_probabilities_are_those_of_any_grade(contents: Contents) -> None:
    """In the golden workspace all probability lies on class 0: it is the true class's where that is 0."""
    rows: pd.DataFrame = contents.classified
    assert (rows["positive"] == 0).all()
    assert rows["likelihood"].to_numpy() == pytest.approx(np.where(rows["truth"] == 0, 1, 0))
