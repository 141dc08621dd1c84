"""Patches that the lesion scores find and miss: which are shown, and where their lesions are outlined."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from swcl_cli.data.images import read_image
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.figures import hits_and_misses as shown
from swcl_cli.reporting.figures.style import HIT, LIGHT
from swcl_cli.reporting.page.sections import sections
from swcl_cli.workspace import Workspace
from tests.reporting import golden


def rows(*patches: tuple[str, float, float]) -> pd.DataFrame:
    table = pd.DataFrame(patches, columns=["path", "score", "lesion_share"])
    return table.assign(position=[f"{number}" for number in range(len(table))])


def test_the_best_and_the_worst_of_each_photograph() -> None:
    """Of eight patches the two with the largest share, and the two with the smallest."""
    table = rows(
        ("a", 0.9, 0.5), ("a", 0.8, 0.6), ("b", 0.95, 0.3), ("b", 0.1, 0.4), ("c", 0.7, 0.0), ("c", 0.2, 0.01),
        ("d", 0.3, 0.2), ("d", 0.4, 0.1),
    )  # fmt: skip
    hits, misses, alarms = shown.chosen_patches(table)
    assert list(zip(hits["path"], hits["score"], strict=True)) == [("a", 0.9)]
    assert list(zip(misses["path"], misses["score"], strict=True)) == [("a", 0.8)]
    assert list(zip(alarms["path"], alarms["score"], strict=True)) == [("c", 0.7)]
    many = rows(*((f"{number:02d}", number / 40, number / 40) for number in range(40)))
    hits, misses, alarms = shown.chosen_patches(many)
    assert hits["path"].tolist() == ["39", "38", "37", "36", "35"]
    assert misses["path"].tolist() == ["30", "31", "32", "33", "34"]
    assert alarms["path"].tolist() == ["09", "08", "07", "06", "05"]
    bare = shown.chosen_patches(many.assign(lesion_share=0.0))
    assert [len(part) for part in bare] == [0, 0, shown.SHOWN]


def test_lesions_are_outlined_in_the_patch_and_left_clear(workspace: Workspace) -> None:
    """In tl of the first photograph the lesion lies from 28 to 30 of 32, across and down."""
    frame = golden.add_judged(workspace, "idrid")
    contents = read_contents(workspace)
    first = frame.iloc[0].to_dict()
    patch = shown._patch(contents.root, [5], first)
    raw = read_image(workspace.root / first["path"])[0:32, 8:40]
    assert patch.pixels.shape == raw.shape and patch.kinds == ("drusen",) and patch.score == 0.9
    drawn = (patch.pixels != raw).any(axis=-1)
    assert (patch.pixels[drawn] == HIT).all() and drawn.any()
    across, down = np.flatnonzero(drawn.any(axis=0)), np.flatnonzero(drawn.any(axis=1))
    assert (across.min(), across.max()) == (down.min(), down.max()) == (28 - shown.AROUND, 31)
    assert not drawn[28:31, 28:31].any() and not drawn[:20].any()
    flipped = shown._patch(contents.root, [5], {**first, "mirrored": True})
    np.testing.assert_array_equal(flipped.pixels, patch.pixels[:, ::-1])
    turned = shown._patch(contents.root, [5], {**first, "rotated": True})
    np.testing.assert_array_equal(turned.pixels, np.rot90(patch.pixels, 2))
    both = shown._patch(contents.root, [5], {**first, "rotated": True, "mirrored": True})
    np.testing.assert_array_equal(both.pixels, patch.pixels[::-1])


def test_the_figure_of_a_data_set(workspace: Workspace) -> None:
    golden.add_judged(workspace, "idrid")
    contents = read_contents(workspace)
    (figure,) = shown.hits_and_misses(contents)
    assert figure.name == "hits-and-misses-idrid" and figure.photographic
    assert "much lesion, highest score: " in figure.alt and " tl: 0.90" in figure.alt and " br: 0.00" in figure.alt
    drawing = figure.draw(LIGHT)
    below = {axes.get_xlabel() for axes in drawing.axes if axes.get_visible()}
    assert below >= {"0.9 %, drusen", "0.9 %, haemorrhage", "0.0 %"}
    by_name = {section.name: section for section in sections(contents)}
    assert figure.name in [each.name for each in by_name["swap"].figures]
    bare = {section.name: section for section in sections(contents, photographs=False)}
    assert figure.name not in [each.name for each in bare["swap"].figures]


def test_a_photograph_that_is_gone_is_named(workspace: Workspace) -> None:
    frame = golden.add_judged(workspace, "idrid")
    (workspace.root / frame["path"].iloc[0]).unlink()
    contents = read_contents(workspace)
    (figure,) = shown.hits_and_misses(contents)
    assert " tl: 0.90" not in figure.alt and any(frame["path"].iloc[0] in line for line in contents.damaged)
    assert shown.hits_and_misses(replace(contents, judged={})) == []


def test_a_small_share_is_not_called_none() -> None:
    assert [shown._percent(share) for share in (0.0, 0.0001, 0.0005, 0.123)] == [
        "0.0 %",
        "under 0.1 %",
        "0.1 %",
        "12.3 %",
    ]


def test_kinds_take_as_many_lines_as_they_need() -> None:
    assert shown._lines(()) == "" and shown._lines(["drusen", "other"]) == "drusen, other"
    assert shown._lines(["microaneurysm", "haemorrhage", "hard exudate"]) == "microaneurysm, haemorrhage\nhard exudate"
