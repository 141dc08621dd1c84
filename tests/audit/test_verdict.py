"""Copies of phantom eyes are told from the same eye taken twice, the fellow eye and others, with what was done."""

from __future__ import annotations

import numpy as np
import pytest

from swcl_cli.audit.descriptor import describe
from swcl_cli.audit.registration import NONE, agree, compare_sketches, view_of
from swcl_cli.audit.search import nearest
from swcl_cli.audit.turns import turned
from swcl_cli.audit.verdict import CERTAIN, COPY, LIKELY, VISIT, change, verdict
from tests.audit.eyes import COPIES, array, eyes, taken_twice

SAME = NONE._replace(vessels=0.99, levels=0.999, local=1.0, residual=0.05, sharp=0.99, apart=0.001)


def judged(one: object, other: object) -> tuple[tuple[str, str] | None, str]:
    """The verdict on two images, and in words how the second differs."""
    pictures = [array(image) for image in (one, other)]  # type: ignore[arg-type]
    first, second = (describe(picture) for picture in pictures)
    candidates = nearest(np.stack([first.numbers, second.numbers]))
    if not len(candidates.one):
        return None, ""
    turn = int(candidates.turn[0])
    _, across, down = compare_sketches(first.sketch, turned(second.sketch, turn))
    views = [view_of(picture) for picture in pictures]
    agreement = agree(views[0], views[1].turned(turn), across, down)
    found = verdict(agreement)
    kind = found[0] if found else COPY
    return found, change(kind, turn, agreement, (views[0].seen, views[1].seen), False)


@pytest.mark.parametrize("patient", [0, 4])
@pytest.mark.parametrize("kind", COPIES)
def test_copies(kind: str, patient: int) -> None:
    found, words = judged(eyes(patient)[0], COPIES[kind](eyes(patient)[0]))
    assert found is not None and found[0] == COPY
    if kind in ("resized", "compressed"):
        assert words in ("resized or compressed", "nearly equal")
    elif kind == "all":
        assert "turned by 90" in words or "turned by 270" in words
    elif kind != "grey" and (kind, patient) != ("cropped", 4):  # it lost its dark margin alone
        assert kind in words


def test_turns_are_those_of_the_second_clockwise() -> None:
    image = eyes(0)[0]
    assert judged(image, COPIES["turned by 90"](image))[1] == "turned by 90"
    assert judged(COPIES["turned by 90"](image), image)[1] == "turned by 270"


@pytest.mark.parametrize("patient", [1, 3, 5])
def test_the_same_eye_taken_twice_is_no_copy(patient: int) -> None:
    found, _ = judged(*taken_twice(patient))
    assert found is None or found[0] == VISIT


def test_the_same_eye_taken_twice_is_found() -> None:
    kinds = [judged(*taken_twice(patient, side=1))[0] for patient in range(6)]
    assert sum(kind is not None and kind[0] == VISIT for kind in kinds) >= 5


def test_fellow_eyes_and_other_eyes_are_nothing() -> None:
    for patient in range(4):
        left, right = eyes(patient)
        assert judged(left, right)[0] is None
        assert judged(left, eyes(patient + 1)[0])[0] is None
        assert judged(left, eyes(patient + 1)[1])[0] is None


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, (COPY, CERTAIN)),
        ({"vessels": 0.75, "levels": 0.95}, (COPY, LIKELY)),  # haze
        ({"vessels": 0.75, "levels": 0.95, "residual": 2.1}, None),
        ({"vessels": 0.6}, None),
        ({"degrees": 1.4}, (VISIT, CERTAIN)),
        ({"degrees": -1.4, "vessels": 0.75}, (VISIT, LIKELY)),
        ({"degrees": 1.4, "residual": 1.2}, None),  # dust on the lens of one camera
        ({"degrees": 1.4, "local": 0.5}, None),
        ({"apart": 0.05}, (COPY, CERTAIN)),  # a crop moves the disc that is fitted
        ({"apart": 0.05, "levels": 0.976}, (VISIT, CERTAIN)),
        ({"apart": 0.025, "degrees": 0.165, "levels": 0.995}, (VISIT, CERTAIN)),
        ({"levels": 0.9}, (COPY, LIKELY)),  # clipped light
        ({"levels": 0.9, "apart": 0.01}, None),  # dust, which does not move
        ({"levels": 0.9, "degrees": 0.2}, None),
        ({"levels": 0.9, "residual": 0.55}, None),
        ({"levels": 0.8}, None),
        ({"levels": 0.4, "degrees": 1.0}, (VISIT, CERTAIN)),
        ({"levels": 0.2, "degrees": 1.0}, None),
        ({"apart": 0.03, "degrees": 0.2}, (COPY, CERTAIN)),
        ({"stretch": 1.2}, None),
        ({"stretch": 1.2, "degrees": 1.0}, (VISIT, CERTAIN)),
    ],
)
def test_each_measure_counts(changed: dict[str, float], wanted: tuple[str, str] | None) -> None:
    assert verdict(SAME._replace(**changed)) == wanted


def test_words_of_changes() -> None:
    assert change(COPY, 0, SAME, (1, 1), True) == "equal"
    assert change(COPY, 0, SAME._replace(vessels=0.9999), (1, 1), False) == "nearly equal"
    assert change(COPY, 3, SAME._replace(gain=1.4), (1, 0.9), False) == "turned by 180, cropped, brighter"
    assert change(COPY, 2, SAME._replace(gain=0.7), (0.9, 1), False) == "mirrored, less cropped, darker"
    visit = SAME._replace(apart=0.061, degrees=-3.44, gain=1.5)
    assert change(VISIT, 0, visit, (1, 0.9), False) == "shifted by 6 % of the radius, rotated by 3.4 degrees"
    assert change(VISIT, 3, visit, (1, 1), False).startswith("turned by 180, shifted by 6 %")
