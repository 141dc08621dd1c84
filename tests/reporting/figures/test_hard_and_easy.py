from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.hard_and_easy import answers, ranking, worst_and_best
from swcl_cli.reporting.figures.style import LIGHT
from swcl_cli.reporting.page.rendering import render
from tests.reporting.predictions import classified, contents_of

TRUTH = (0, 0, 1, 1)


def _contents(root: Path) -> Contents:
    """Four photographs, in two runs: the last is worst, the first is best."""
    folder = root / "data" / "refuge-cls" / "images"
    folder.mkdir(parents=True)
    for number in range(4):
        Image.fromarray(np.full((64, 80, 3), 40 * number + 40, np.uint8)).save(folder / f"{number}.png")
    return contents_of(
        root,
        [
            classified("refuge-cls", "random", "seed0", TRUTH, (0.1, 0.4, 0.8, 0.3)),
            classified("refuge-cls", "swcl", "seed0", TRUTH, (0.1, 0.2, 0.8, 0.1)),
        ],
    )


def test_photographs_are_ranked_by_the_probability_of_the_truth(tmp_path: Path) -> None:
    ranked = ranking(_contents(tmp_path).classified)
    assert ranked["image_id"].tolist() == ["3", "1", "2", "0"]
    expected = [-np.log(0.3 * 0.1) / 2, -np.log(0.6 * 0.8) / 2, -np.log(0.8), -np.log(0.9)]
    assert ranked["loss"].tolist() == pytest.approx(expected, rel=1e-6)


def test_heads_add_up_and_runs_are_averaged(tmp_path: Path) -> None:
    """However many runs judged a photograph, as with folds and seeds."""
    rows = [
        classified("idrid", "swcl", "seed0", (1,), (0.5,), head="dr_grade"),
        classified("idrid", "swcl", "seed1", (1,), (0.5,), head="dr_grade"),
        classified("idrid", "swcl", "seed0", (1,), (0.25,), head="dme_grade"),
        classified("idrid", "swcl", "seed1", (1,), (0.25,), head="dme_grade"),
    ]
    ranked = ranking(contents_of(tmp_path, rows).classified)
    assert ranked["loss"].tolist() == pytest.approx([np.log(2) + np.log(4)])


def test_a_sure_mistake_of_one_run_counts_no_more_than_another(tmp_path: Path) -> None:
    rows = [classified("refuge-cls", "swcl", "seed0", (1, 1), (0.0, 1e-9))]
    ranked = ranking(contents_of(tmp_path, rows).classified)
    assert np.isfinite(ranked["loss"]).all() and ranked["loss"].nunique() == 1


def test_what_is_told_of_a_photograph(tmp_path: Path) -> None:
    rows = _contents(tmp_path).classified
    assert answers(rows[rows["image_id"] == "3"]) == ["glaucoma: glaucoma, said no glaucoma; 0/2 right"]
    assert answers(rows[rows["image_id"] == "0"]) == ["glaucoma: no glaucoma, said no glaucoma; 2/2 right"]


def test_the_sheet_shows_as_many_worst_as_best_ones(tmp_path: Path) -> None:
    contents = _contents(tmp_path)
    (picture,) = worst_and_best(contents)
    assert picture.photographic and picture.name == "cases-refuge-cls"
    assert "over 2 runs of 2 initialisations" in picture.sentence
    panels = [axes for axes in picture.draw(LIGHT).get_axes() if axes.images]
    titles = [(axes.get_title() or axes.get_title("left")).split("\n")[0] for axes in panels]
    assert titles == ["worst: 3", "worst: 1", "best: 0", "best: 2"]
    assert np.asarray(panels[0].images[0].get_array())[0, 0, 0] == 160  # the pixels of 3.png
    assert "worst, glaucoma: glaucoma, said no glaucoma; 0/2 right" in picture.alt
    assert render(picture).size[0] > 1000


def test_a_missing_photograph_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    contents = _contents(tmp_path)
    (tmp_path / "data/refuge-cls/images/3.png").unlink()
    (picture,) = worst_and_best(contents)
    shown = [axes for axes in picture.draw(LIGHT).get_axes() if axes.images]
    assert len(shown) == 3
    assert len(contents.damaged) == 1 and "data/refuge-cls/images/3.png" in contents.damaged[0]


def test_without_any_photograph_there_is_no_sheet(tmp_path: Path) -> None:
    contents = contents_of(tmp_path, [classified("refuge-cls", "swcl", "seed0", TRUTH, (0.1, 0.4, 0.8, 0.3))])
    assert worst_and_best(contents) == [] and len(contents.damaged) == 4
