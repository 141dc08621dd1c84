"""Label rules on masks made by hand: fovea at (50, 50), a disc diameter of 20 pixels."""

from __future__ import annotations

import numpy as np
import pytest

from swcl_cli.phantom.eye.labels import oedema_grade, read_labels, retinopathy_grade
from swcl_cli.phantom.eye.lesions import (
    COTTON_WOOL,
    DRUSEN,
    EXUDATE,
    HAEMORRHAGE,
    MICROANEURYSM,
    NEW_VESSELS,
    PRERETINAL,
)

FOVEA, DIAMETER = (50.0, 50.0), 20.0
QUADRANTS = ((20, 20), (20, 70), (70, 20), (70, 70))


def mask(*lesions: tuple[int, int, int, int]) -> np.ndarray:
    drawn = np.zeros((100, 100), np.uint8)
    for kind, row, column, side in lesions:
        drawn[row : row + side, column : column + side] = kind
    return drawn


@pytest.mark.parametrize(
    ("kinds", "grade"),
    [
        ((), 0),
        ((DRUSEN,), 0),
        ((MICROANEURYSM,), 1),
        ((MICROANEURYSM, DRUSEN), 1),
        ((MICROANEURYSM, HAEMORRHAGE), 2),
        ((EXUDATE,), 2),
        ((COTTON_WOOL,), 2),
        ((NEW_VESSELS,), 4),
        ((MICROANEURYSM, PRERETINAL), 4),
    ],
)
def test_retinopathy_by_kinds(kinds: tuple[int, ...], grade: int) -> None:
    drawn = mask(*((kind, 10 * place, 10, 4) for place, kind in enumerate(kinds)))
    assert retinopathy_grade(drawn, FOVEA, DIAMETER) == grade


@pytest.mark.parametrize(("side", "quadrants", "grade"), [(7, 4, 3), (6, 4, 2), (9, 3, 2)])
def test_severe_needs_blood_in_all_quadrants(side: int, quadrants: int, grade: int) -> None:
    """A disc has 314 pixels, 15 % of it are 47: a square of 7 passes, one of 6 does not."""
    drawn = mask(*((HAEMORRHAGE, row, column, side) for row, column in QUADRANTS[:quadrants]))
    assert retinopathy_grade(drawn, FOVEA, DIAMETER) == grade


@pytest.mark.parametrize(("column", "grade"), [(69, 2), (70, 2), (71, 1)])
def test_oedema_within_a_disc_diameter(column: int, grade: int) -> None:
    assert oedema_grade(mask((EXUDATE, 50, column, 1)), FOVEA, DIAMETER) == grade
    assert oedema_grade(mask((HAEMORRHAGE, 50, column, 1)), FOVEA, DIAMETER) == 0


@pytest.mark.parametrize(("cup", "glaucoma"), [(13, False), (14, True)])
def test_glaucoma_beyond_a_ratio_of_0_65(cup: int, glaucoma: bool) -> None:
    labels = read_labels(mask(), mask((1, 0, 0, 20)), mask((1, 0, 0, cup)), FOVEA, DIAMETER)
    assert labels.cup_ratio == pytest.approx(cup / 20)
    assert (labels.glaucoma, labels.abnormal) == (glaucoma, glaucoma)
    assert labels.keywords == ("glaucoma" if glaucoma else "normal fundus")


@pytest.mark.parametrize(("side", "words"), [(18, "drusen"), (19, "dry age-related macular degeneration")])
def test_many_drusen_are_macular_degeneration(side: int, words: str) -> None:
    """The disc has 400 pixels: 18 squared is 0.81 of it, 19 squared 0.9025."""
    disc = mask((1, 0, 0, 20))
    assert read_labels(mask((DRUSEN, 40, 40, side)), disc, disc // 2, FOVEA, DIAMETER).keywords == words
