"""Disc, fovea and pose of phantom eyes, whose truth is drawn, and of their turned and mirrored copies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from swcl_cli.audit.landmarks import POSES, WEIGHTS, Seen, look
from swcl_cli.audit.lying import judged
from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import SIDES, draw_patient

PERSONS = range(60_000_000, 60_000_024)  # nobody of whom any layout or the learning drew
HEIGHT = 192


class Drawn(NamedTuple):
    image: NDArray[np.uint8]
    disc: tuple[float, float]
    fovea: tuple[float, float]
    diameter: float


@pytest.fixture(scope="module")
def eyes() -> list[Drawn]:
    """Left and right of each person, upright."""
    drawn = []
    for person in PERSONS:
        for eye in draw_patient(11, person, HEIGHT, choose_findings(11, person)):
            y, x = np.nonzero(eye.disc)
            drawn.append(Drawn(eye.image, (float(x.mean()), float(y.mean())), eye.fovea, eye.disc_diameter))
    return drawn


@pytest.fixture(scope="module")
def seen(eyes: list[Drawn]) -> list[Seen]:
    return [look(eye.image) for eye in eyes]


def test_disc_and_fovea_lie_where_they_were_drawn(eyes: list[Drawn], seen: list[Seen]) -> None:
    """To a third of the disc's diameter, to a half of it where a fovea is hidden by lesions or haze."""
    for part, most, share in (("disc", 1 / 3, 0.95), ("fovea", 1 / 2, 0.9)):
        places = np.array([getattr(found, part)[:2] for found in seen])
        truth = np.array([getattr(eye, part) for eye in eyes])
        apart = np.hypot(*(places - truth).T) / [eye.diameter for eye in eyes]
        assert (apart < most).mean() >= share, (part, apart)


def test_phantom_eyes_upside_down(eyes: list[Drawn], seen: list[Seen]) -> None:
    """A third of the persons: 0.99 are told rightly, with names and without."""
    inverted = np.repeat([person % 3 == 0 for person in PERSONS], 2)
    poses = np.stack([
        look(np.rot90(eye.image, 2).copy()).poses if turned else found.poses
        for eye, found, turned in zip(eyes, seen, inverted, strict=True)
    ])  # fmt: skip
    patients, sides = [str(person) for person in PERSONS for _ in SIDES], list(SIDES) * len(PERSONS)
    for names in (sides, ["unknown"] * len(sides)):
        lying = judged(poses, patients, names)
        assert ((lying.inverted > 0.5) == inverted).mean() >= 0.99
        assert ((lying.right > 0.5) == [side == "right" for side in sides]).mean() >= 0.99


def test_copies_that_lie_otherwise_are_seen_so(eyes: list[Drawn], seen: list[Seen]) -> None:
    """A turned or mirrored photograph has the other pose with nearly the same chance, and its disc where it went."""
    ways = {
        (False, False): (0, 1, 2, 3),
        (True, False): (1, 0, 3, 2),
        (False, True): (2, 3, 0, 1),
        (True, True): (3, 2, 1, 0),
    }
    for eye, found in list(zip(eyes, seen, strict=True))[:4]:
        for (mirrored, flipped), order in ways.items():
            copy = eye.image[:: -1 if flipped else 1, :: -1 if mirrored else 1].copy()
            again = look(copy)
            np.testing.assert_allclose(np.exp(again.poses), np.exp(found.poses[list(order)]), atol=0.05)
            x = eye.image.shape[1] - found.disc.x if mirrored else found.disc.x
            y = eye.image.shape[0] - found.disc.y if flipped else found.disc.y
            assert np.hypot(again.disc.x - x, again.disc.y - y) < 2


def test_what_has_no_eye_in_it() -> None:
    """Nothing is seen in black, white, or in a frame of few pixels; no number is amiss."""
    for image in (np.zeros((80, 90, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8), np.ones((9, 7, 3), np.uint8)):
        found = look(image)
        assert np.isfinite(found.poses).all() and np.exp(found.poses).sum() == pytest.approx(1, abs=1e-4)
        assert all(np.isfinite(place).all() and 0 <= place.sure <= 1.0001 for place in (found.disc, found.fovea))


def test_poses_are_the_four_ways_to_lie() -> None:
    assert sorted(POSES) == [(side, inverted) for side in ("left", "right") for inverted in (False, True)]


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 200_000
