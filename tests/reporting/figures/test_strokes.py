from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from swcl_cli.catalogue.paper import INITIALISATIONS
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.embeddings import embeddings_figure
from swcl_cli.reporting.figures.finetuning import finetuning_learning
from swcl_cli.reporting.figures.learning import pretraining_learning
from swcl_cli.reporting.figures.strokes import initialisations, label, strokes
from swcl_cli.reporting.figures.style import BRIGHTER, COLOURS, DARK, LIGHT, Theme
from swcl_cli.workspace import PRETRAIN, RunName


def test_each_initialisation_has_a_stroke_of_its_own() -> None:
    order = [*INITIALISATIONS, "own", "another"]
    found = strokes(order, LIGHT)
    assert list(found) == order
    assert len({(stroke.colour, str(stroke.dashes)) for stroke in found.values()}) == len(order)
    assert found["random"].colour == LIGHT.ink and found["swcl"].colour == COLOURS[0]


def test_without_colour_they_are_told_apart_too() -> None:
    """By dashes and marker together, neighbours by either; random weights by dashes of their own."""
    order = ["random", *(f"i{place:02}" for place in range(23))]
    found = list(strokes(order, LIGHT).values())
    assert len({(str(stroke.dashes), stroke.marker) for stroke in found}) == len(order)
    for one, other in pairwise(found):
        assert one.dashes != other.dashes and one.marker != other.marker and one.hatch != other.hatch
    assert [stroke.dashes for stroke in found].count(found[0].dashes) == 1


def test_lines_in_figures_have_markers_each_at_places_of_its_own(contents: Contents) -> None:
    contents.logs = {
        RunName(PRETRAIN, name=name): pd.DataFrame({"step": range(50), "loss": 1.0, "embedding_spread": 0.5})
        for name in ("swcl", "byol", "simclr")
    }
    for picture in (pretraining_learning(contents), embeddings_figure(contents), *finetuning_learning(contents)[:1]):
        assert picture is not None
        for axes in picture.draw(LIGHT).get_axes():
            lines = [line for line in axes.lines if not str(line.get_label()).startswith("_")]
            looks = {(line.get_linestyle(), line.get_marker(), str(line.get_markevery())) for line in lines}
            assert len(looks) == len(lines) and all(line.get_marker() not in ("None", "") for line in lines)


def test_those_that_were_only_pretrained_are_known_too(contents: Contents) -> None:
    contents.logs[RunName(PRETRAIN, name="byol")] = pd.DataFrame({"step": [0], "loss": [1.0]})
    assert initialisations(contents) == ["random", "byol", "imagenet", "swcl"]


def test_long_names_leave_room() -> None:
    assert label("supervised-eyepacs") == "supervised-eyepacs"
    assert len(label("x" * 100)) == 26


def _luminance(colour: str) -> float:
    """Relative, as in WCAG 2."""
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_lines_stand_out_from_the_paper(theme: Theme) -> None:
    """3 : 1 at least, as WCAG 2 asks of graphics."""
    for colour in (BRIGHTER.get(one, one) if theme is DARK else one for one in COLOURS):
        lighter, darker = sorted((_luminance(colour), _luminance(theme.paper)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3, colour
