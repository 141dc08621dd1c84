"""How eyes lie, by what is seen and what names say, against all cases of a patient counted out one after another."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from swcl_cli.audit.landmarks import POSES
from swcl_cli.audit.lying import BEFORE, MISNAMED, SWAPPED, TURNED_ALONE, judged

UNSEEN = np.log(np.full(4, 0.25))


def seen(side: str, inverted: bool, chance: float = 0.97) -> NDArray[np.float64]:
    """Log p of the poses, most of it on one of them."""
    return np.log([chance if pose == (side, inverted) else (1 - chance) / 3 for pose in POSES])


def disc_only(on_the_left: bool) -> NDArray[np.float64]:
    """The disc is seen, but neither fovea nor arcs: a left eye, or a right one upside down, and the other way round."""
    return np.log([0.495 if ((side == "left") != inverted) == on_the_left else 0.005 for side, inverted in POSES])


def by_hand(poses: NDArray[np.float64], eyes: list[str], share: float) -> tuple[NDArray[np.float64], float]:
    """The chances of a patient's photographs to be upside down, and of the patient, for a share of such patients."""
    upside_down, total, patient = np.zeros(len(poses)), 0.0, 0.0
    for turned, exchanged in product((False, True), (False, True)):
        for assigned in product(range(4), repeat=len(poses)):
            chance = (share if turned else 1 - share) * (SWAPPED if exchanged else 1 - SWAPPED)
            for row, pose in enumerate(assigned):
                side, inverted = POSES[pose]
                chance *= np.exp(poses[row, pose]) * (1 - TURNED_ALONE if inverted == turned else TURNED_ALONE)
                if eyes[row] == "unknown":
                    chance *= 0.5
                else:
                    chance *= 1 - MISNAMED if (side == eyes[row]) != exchanged else MISNAMED
            total += chance
            patient += chance * turned
            upside_down += chance * np.array([POSES[pose][1] for pose in assigned])
    return upside_down / total, patient / total


@pytest.mark.parametrize("eyes", [["left", "right"], ["right", "right"], ["left", "unknown"], ["unknown", "unknown"]])
def test_all_cases_of_patients_counted_out(eyes: list[str]) -> None:
    rng = np.random.default_rng(0)
    poses = np.log(rng.dirichlet(np.full(4, 0.5), 6))
    share = 0.5
    for _ in range(20):
        chances = [by_hand(poses[first : first + 2], eyes, share)[1] for first in (0, 2, 4)]
        share = (sum(chances) + BEFORE / 2) / (3 + BEFORE)
    expected = np.concatenate([by_hand(poses[first : first + 2], eyes, share)[0] for first in (0, 2, 4)])
    lying = judged(poses.astype(np.float32), ["b", "b", "a", "a", "c", "c"], eyes * 3)
    np.testing.assert_allclose(lying.inverted, expected, atol=1e-5)


def test_a_name_and_the_side_of_the_disc_tell_what_lies_upside_down() -> None:
    poses = np.stack([disc_only(True), disc_only(False), disc_only(False), disc_only(True)])
    lying = judged(poses, ["1", "1", "2", "2"], ["left", "right", "left", "right"])
    assert (lying.inverted > 0.5).tolist() == [False, False, True, True]
    assert (lying.right > 0.5).tolist() == [False, True, False, True]


def test_exchanged_names_are_told_from_eyes_upside_down_by_what_is_seen_of_both() -> None:
    """Patient 1 lies upright, named the wrong way round; patient 2 lies upside down; of 3 one eye can't be seen."""
    poses = [
        seen("right", False),
        seen("left", False),
        seen("left", True),
        seen("right", True),
        seen("left", True),
        UNSEEN,
    ]
    lying = judged(np.stack(poses), list("112233"), ["left", "right"] * 3)
    assert (lying.inverted > 0.5).tolist() == [False, False, True, True, True, True]
    assert (lying.right > 0.5).tolist() == [True, False, False, True, False, True]


def test_photographs_in_which_nothing_is_seen_lie_as_most_do() -> None:
    for inverted in (False, True):
        poses = np.stack([*(seen("left", inverted) for _ in range(40)), UNSEEN])
        lying = judged(poses, [str(row) for row in range(41)], ["left"] * 40 + ["unknown"])
        assert (lying.inverted[-1] > 0.9) == inverted and (lying.inverted[-1] < 0.1) != inverted
        assert lying.right[-1] == pytest.approx(0.5)


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    poses = np.log(rng.dirichlet(np.full(4, 0.5), 30)).astype(np.float32)
    patients, eyes = [str(row % 11) for row in range(30)], ["left", "right", "unknown"] * 10
    order = rng.permutation(30)
    one = judged(poses, patients, eyes)
    other = judged(poses[order], [patients[row] for row in order], [eyes[row] for row in order])
    np.testing.assert_allclose(one.inverted[order], other.inverted, atol=1e-12)
    np.testing.assert_allclose(one.right[order], other.right, atol=1e-12)
