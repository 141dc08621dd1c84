"""Vessel trees: rooted in the disc, thinning, clear of the fovea."""

from __future__ import annotations

import numpy as np
import pytest

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.anatomy import Anatomy, draw_anatomy
from swcl_cli.phantom.eye.vessels import AVASCULAR, REACH, STEP, Branch, grow


def tree(patient: int) -> tuple[Anatomy, list[Branch]]:
    anatomy = draw_anatomy(0, patient, 0, glaucoma=False)
    return anatomy, grow(anatomy, generator(0, "trunks", item=patient), generator(0, "twigs", item=patient))


@pytest.mark.parametrize("patient", range(4))
def test_trees(patient: int) -> None:
    anatomy, branches = tree(patient)
    assert {branch.vein for branch in branches} == {True, False}
    assert len(branches) > 40
    for branch in branches:
        assert len(branch.points) == len(branch.widths)
        assert (np.diff(branch.widths) <= 0).all()
        assert np.allclose(np.hypot(*np.diff(branch.points, axis=0).T), STEP)
        assert np.hypot(*branch.points[:-1].T).max() <= REACH
        assert np.hypot(*(branch.points[:-1] - anatomy.fovea).T).min() > AVASCULAR - STEP


@pytest.mark.parametrize("patient", range(4))
def test_every_branch_starts_at_the_disc_or_on_a_wider_vessel_of_its_kind(patient: int) -> None:
    anatomy, branches = tree(patient)
    for number, branch in enumerate(branches):
        start = branch.points[0]
        if np.hypot(*(start - anatomy.disc)) < anatomy.disc_diameter / 2:
            continue
        parents = [other for other in branches[:number] if other.vein == branch.vein]
        nearest = min(parents, key=lambda other: np.hypot(*(other.points - start).T).min())
        gaps = np.hypot(*(nearest.points - start).T)
        assert gaps.min() == pytest.approx(0, abs=1e-9)
        assert nearest.widths[gaps.argmin()] > branch.widths[0]


def test_arcades_arch_around_the_fovea() -> None:
    """The four widest vessels pass above or below the fovea at 1.2 to 3.2 disc diameters."""
    for patient in range(4):
        anatomy, branches = tree(patient)
        widest = sorted(branches, key=lambda branch: -branch.widths[0])[:4]
        heights = [
            branch.points[np.abs(branch.points[:, 0] - anatomy.fovea[0]).argmin(), 1] - anatomy.fovea[1]
            for branch in widest
        ]
        assert sorted(np.sign(heights)) == [-1, -1, 1, 1]
        assert all(1.2 < abs(height) / anatomy.disc_diameter < 3.2 for height in heights)
