"""Which operations make up each kind of view, in which order and how often: stand-ins write down what was applied."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from swcl_cli import chance
from swcl_cli.data import augment, pixels

COUNT = 8000
SIZE = 8
ZERO, ONE = (0.0, 0.0, 0.0), (1 / 255,) * 3  # with these a view holds grey levels
JITTER = ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue")
ORDER = ("resize", "flip", *JITTER, "to_grey", "gaussian_blur", "solarize")
JITTERED = dict.fromkeys(JITTER, 0.8)
PROBABILITIES: dict[str, dict[str, float]] = {
    "contrastive": {"flip": 0.5, **JITTERED, "to_grey": 0.2, "gaussian_blur": 0.5, "solarize": 0.1},  # FACTS C5
    "flipped": {"flip": 0.5},  # FACTS D2
    "labeler": {"flip": 0.5, **JITTERED},  # FACTS B3
    "classification": {"flip": 0.5, "to_grey": 0.2},  # FACTS E4
    "segmentation": {"flip": 0.5, "to_grey": 0.2},  # FACTS E5
}
CROPPED = {kind: {"resize": 1.0, **given} for kind, given in PROBABILITIES.items() if kind != "segmentation"}
EACH = pytest.mark.parametrize("kind", PROBABILITIES)
History = tuple[str, ...]


def views(kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """float32 (3, SIZE, SIZE), in grey levels, of a black photograph."""
    black = np.zeros((60, 60, 3), np.uint8)
    if kind == "segmentation":
        return augment.segmentation_view(black, black[..., 0], SIZE, rng, ZERO, ONE)[0]
    return made(kind, black, SIZE, rng)


def made(kind: str, image: NDArray[np.uint8], size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """The view of an image alone, float32 (3, size, size), in grey levels."""
    if kind == "flipped":
        return augment.flipped_pixels(image, size, rng).transpose(2, 0, 1).astype(np.float32)
    view: Callable[..., NDArray[np.float32]] = getattr(augment, f"{kind}_view")
    return view(image, size, rng, ZERO, ONE)


def marking(name: str) -> Callable[..., NDArray[np.uint8]]:
    """A stand-in that writes the operation's number at the first free place of its image: one that is not used, or
    is applied to something else than the result so far, is missing from the view.
    """

    def operation(image: NDArray[np.uint8], *amounts: Any) -> NDArray[np.uint8]:
        marked = np.zeros((*amounts[::-1], 3), np.uint8) if name == "resize" else image.copy()
        marked.flat[np.flatnonzero(marked == 0)[0]] = 1 + ORDER.index(name)
        return marked

    return operation


@cache
def histories(kind: str) -> list[History]:
    """What was applied to each of COUNT views, the first operation first."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ORDER:
            patched.setattr(pixels, name, marking(name))
        marked = [views(kind, chance.generator(0, "operations", item=item)) for item in range(COUNT)]
    marks = [np.rint(view).astype(int).transpose(1, 2, 0).ravel() for view in marked]
    return [tuple(ORDER[mark - 1] for mark in row[row > 0]) for row in marks]


@EACH
def test_operations_follow_each_other_as_documented(kind: str) -> None:
    """Crop, flip, jitter, grey, blur, solarize; the four parts of the jitter in any order, each of all once at most."""
    place = {name: ORDER.index(name if name not in JITTER else JITTER[0]) for name in ORDER}
    for history in histories(kind):
        places = [place[name] for name in history]
        assert places == sorted(places) and len(set(history)) == len(history), history
        assert (history[:1] == ("resize",)) == (kind != "segmentation")


@EACH
def test_operations_are_as_frequent_as_documented(kind: str) -> None:
    """Alone, and two together, as independent draws are: within 3.5 standard deviations of the binomial."""
    expected = CROPPED.get(kind, PROBABILITIES[kind])
    applied = {name: np.array([name in history for history in histories(kind)]) for name in ORDER}
    for name in ORDER:
        assert_frequent(applied[name], expected.get(name, 0.0), name)
    for one, other in combinations(expected, 2):
        both = 0.8 if {one, other} <= JITTERED.keys() else expected[one] * expected[other]
        assert_frequent(applied[one] & applied[other], both, f"{one} and {other}")


def assert_frequent(happened: NDArray[np.bool_], probability: float, what: str) -> None:
    deviation = np.sqrt(probability * (1 - probability) / len(happened))
    assert abs(happened.mean() - probability) <= 3.5 * deviation, (what, happened.mean())


@pytest.mark.parametrize("kind", CROPPED)
def test_crops_have_four_fifths_of_the_area_at_least(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []

    def cropped(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
        shares.append(image.shape[0] * image.shape[1] / 60**2)
        return np.zeros((height, width, 3), np.uint8)

    monkeypatch.setattr(pixels, "resize", cropped)
    for item in range(400):
        views(kind, chance.generator(0, "share", item=item))
    assert 0.78 < min(shares) < 0.83 and 0.97 < max(shares) <= 1


@EACH
def test_a_flipped_view_shows_its_left_half_on_the_right(kind: str) -> None:
    """With the real operations, so that a flip whose result is dropped is noticed; the mask turns with its image."""
    image = np.full((60, 60, 3), 40, np.uint8)
    image[:, :30] = 110  # bright enough for jitter and crop not to blur which side it is, and too dark to solarize
    flipped = []
    for item in range(300):
        rng = chance.generator(0, "halves", item=item)
        if kind == "segmentation":
            view, mask = augment.segmentation_view(image, image[..., 0], 60, rng, ZERO, ONE)
            assert (mask[0, 0] > mask[0, -1]) == (view[..., 0].mean() > view[..., -1].mean())
        else:
            view = made(kind, image, 16, rng)
        flipped.append(view[..., 0].mean() < view[..., -1].mean())
    assert_frequent(np.array(flipped), 0.5, "flip")
