"""The eight ways to lay a photograph, against Pillow's transpositions and a cosine transform of the turned picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from swcl_cli.audit.turns import LAID, TURNS, turned, turned_numbers

PICTURE = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
BY_PILLOW = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}


@pytest.mark.parametrize("turn", TURNS)
def test_words_say_what_is_done(turn: int) -> None:
    laid = LAID[turn]
    image = Image.fromarray(PICTURE)
    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if laid.mirrored else image
    image = image.transpose(BY_PILLOW[laid.degrees]) if laid.degrees else image
    assert np.array_equal(turned(PICTURE, turn), np.asarray(image))


def test_all_eight_differ() -> None:
    assert len({turned(PICTURE, turn).tobytes() for turn in TURNS}) == len(set(LAID.values())) == 8


@pytest.mark.parametrize("turn", TURNS)
def test_numbers_are_those_of_the_turned_picture(turn: int) -> None:
    numbers, wanted = (
        dctn(picture, norm="ortho")[:6, :6].reshape(1, -1).astype(np.float32)
        for picture in (PICTURE, turned(PICTURE, turn))
    )
    assert np.allclose(turned_numbers(numbers, turn), wanted, atol=1e-5)


def test_several_pictures_at_once() -> None:
    several = np.stack([PICTURE, PICTURE + 1])
    for turn in TURNS:
        assert np.array_equal(turned(several, turn)[1], turned(several[1], turn))
