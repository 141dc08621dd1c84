"""Registration of phantom eyes: known maps are measured, correlations are those of numpy."""

from __future__ import annotations

import numpy as np
import pytest

from swcl_cli.audit.descriptor import SKETCH, TILE, describe
from swcl_cli.audit.registration import _correlation, _explained, agree, compare_sketches, view_of
from swcl_cli.audit.turns import TURNS, turned
from tests.audit.eyes import array, eyes, taken


def test_a_photograph_agrees_with_itself() -> None:
    view = view_of(array(eyes(0)[0]))
    agreement = agree(view, view, 0, 0)
    assert agreement.vessels == pytest.approx(1, abs=1e-4) and agreement.levels == pytest.approx(1, abs=1e-4)
    assert agreement.local == 1 and agreement.residual < 0.05 and agreement.sharp > 0.999
    assert agreement.apart < 1e-3 and abs(agreement.degrees) < 0.02
    assert agreement.gain == pytest.approx(1, abs=1e-3) and agreement.stretch == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("degrees", "across"), [(2.0, 9), (-3.0, 5), (0.0, 8)])
def test_turn_and_shift_are_measured(degrees: float, across: int) -> None:
    """Pillow turns against the clock; the map leads from the first to the second photograph."""
    image = eyes(1)[0]
    first, second = (view_of(array(each)) for each in (taken(image), taken(image, degrees, across)))
    agreement = agree(first, second, 0, 0)
    radius = 0.5 * min(image.size)
    assert agreement.degrees == pytest.approx(-degrees, abs=0.4)
    assert agreement.apart == pytest.approx(across / radius, abs=0.03)
    assert agreement.vessels > 0.7


def test_two_eyes_do_not_agree() -> None:
    left, right = (view_of(array(eye)) for eye in eyes(2))
    other = view_of(array(eyes(3)[0]))
    for view in (right, other):
        assert max(agree(left, view.turned(turn), 0, 0).vessels for turn in TURNS) < 0.68


def test_empty_pictures_agree_in_nothing() -> None:
    black, eye = view_of(np.zeros((64, 64, 3), np.uint8)), view_of(array(eyes(0)[0]))
    for one, other in ((black, black), (black, eye), (eye, black)):
        agreement = agree(one, other, 0, 0)
        assert np.isfinite(agreement).all() and agreement.vessels < 0.1


def test_sketches_agree_over_a_shift() -> None:
    sketch = describe(array(eyes(0)[0])).sketch
    assert sketch.shape == (SKETCH, SKETCH) and sketch.any()
    for across, down in ((0, 0), (4, -3)):
        shifted = np.roll(sketch, (down, across), axis=(0, 1))
        most, *shift = compare_sketches(sketch, shifted)
        assert most == pytest.approx(1, abs=1e-3) and shift == [across / SKETCH, down / SKETCH]
    assert compare_sketches(np.zeros_like(sketch), sketch) == (0, 0, 0)
    assert compare_sketches(sketch, turned(sketch, 3))[0] < 0.6


def test_correlation_and_explained_share_are_numpys() -> None:
    rng = np.random.default_rng(0)
    one = rng.uniform(0, 255, 400).astype(np.float32)
    other = (0.5 * one + 30 * rng.normal(size=400)).astype(np.float32)
    assert _correlation(one, other) == pytest.approx(np.corrcoef(one, other)[0, 1], abs=1e-5)
    fitted = np.polyval(np.polyfit(one, other, 3), one)
    wanted = 1 - ((other - fitted) ** 2).sum() / ((other - other.mean()) ** 2).sum()
    assert _explained(one, other) == pytest.approx(wanted, abs=1e-4)
    assert _explained(one, np.square(one / 16, dtype=np.float32)) == pytest.approx(1, abs=1e-4)
    assert _explained(np.ones(9, np.float32), np.arange(9, dtype=np.float32)) == pytest.approx(0, abs=1e-4)


def test_share_that_a_frame_shows() -> None:
    image = array(eyes(0)[0])
    assert view_of(image).seen == pytest.approx(1, abs=0.02)
    assert view_of(np.ascontiguousarray(image[40:-40])).seen < 0.9
    assert view_of(image).vessels.shape == (TILE, TILE)
