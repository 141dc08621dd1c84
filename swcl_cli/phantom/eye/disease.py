"""Choose the diseases of an eye, and place the lesions that they cause, in local clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.anatomy import Anatomy
from swcl_cli.phantom.eye.lesions import (
    COTTON_WOOL,
    DRUSEN,
    EXUDATE,
    HAEMORRHAGE,
    MICROANEURYSM,
    NEW_VESSELS,
    PRERETINAL,
    Lesion,
)

Place = tuple[float, float]

# Rows sum to 1. Grades of the worse eye; the paper's collections are two thirds to three quarters healthy, ours less.
RETINOPATHY = (0.5, 0.12, 0.2, 0.1, 0.08)
GOLDEN_RATIO = (5**0.5 - 1) / 2
# Of eyes with grade 2 and more: no exudates, far from the fovea, near it.
OEDEMA = (0.35, 0.3, 0.35)


@dataclass(frozen=True)
class EyeFindings:
    """Say what to draw in an eye. retinopathy 0 to 4; oedema 0 to 2; drusen 0, 1 some, 2 many; dust: on the lens."""

    retinopathy: int = 0
    oedema: int = 0
    drusen: int = 0
    glaucoma: bool = False
    dust: bool = False


class Findings(NamedTuple):
    """Say what to draw in a patient's eyes."""

    left: EyeFindings
    right: EyeFindings


def choose_findings(seed: int, patient: int) -> Findings:
    """Choose the findings of a patient of a mixed clinic. The two eyes mostly agree, but either may be better.

    Grades follow a golden-ratio sequence, so that any few patients in a row hold healthy and ill people in proportion.
    """
    rng = generator(seed, "phantom findings", item=patient)
    place = (generator(seed, "phantom clinic").random() + patient * GOLDEN_RATIO) % 1
    worse = min(int(np.searchsorted(np.cumsum(RETINOPATHY), place, side="right")), len(RETINOPATHY) - 1)
    grades = [worse, max(0, worse - int(rng.choice(3, p=(0.6, 0.3, 0.1))))]
    drusen = int(rng.choice(3, p=(0.86, 0.09, 0.05))) if worse < 2 else 0
    glaucoma = rng.random() < 0.08
    if rng.random() < 0.5:
        grades.reverse()
    return Findings(*(_one_eye(grade, drusen, bool(glaucoma), rng) for grade in grades))


def _one_eye(grade: int, drusen: int, glaucoma: bool, rng: np.random.Generator) -> EyeFindings:
    return EyeFindings(
        retinopathy=grade,
        oedema=int(rng.choice(3, p=OEDEMA)) if grade >= 2 else 0,
        drusen=drusen if rng.random() < 0.8 else 0,
        glaucoma=glaucoma and bool(rng.random() < 0.8),
        dust=bool(rng.random() < 0.06),
    )


def place_lesions(anatomy: Anatomy, findings: EyeFindings, rng: np.random.Generator) -> list[Lesion]:
    """Place an eye's lesions, in the order of painting: first deep lesions, last the small ones that decide a grade."""
    grade = findings.retinopathy
    territories = _quadrants(anatomy, rng) if grade == 3 else _territories(anatomy, rng)
    lesions = _drusen(anatomy, findings.drusen, rng) + _exudates(anatomy, findings.oedema, territories, rng)
    if grade == 0:
        return lesions
    cotton, blots, dots = [], [], []
    for territory in territories:
        if grade >= 2:
            for x, y in _scatter(anatomy, territory, 0.1, int(rng.integers(0, 3)), rng):
                cotton.append(Lesion(COTTON_WOOL, x, y, rng.uniform(0.045, 0.075), rng.uniform(0, np.pi), 1.3))
            count = {2: rng.integers(4, 9), 3: rng.integers(7, 12), 4: rng.integers(6, 12)}[grade]
            for x, y in _scatter(anatomy, territory, 0.09, int(count), rng):
                blots.append(_haemorrhage(anatomy, x, y, rng))
        for x, y in _scatter(anatomy, territory, 0.08, int(rng.integers(6, 13)), rng):
            dots.append(Lesion(MICROANEURYSM, x, y, rng.uniform(0.011, 0.016)))
    proliferation = _proliferation(anatomy, territories, rng) if grade == 4 else []
    return lesions + cotton + blots + dots + proliferation


def _quadrants(anatomy: Anatomy, rng: np.random.Generator) -> list[Place]:
    """Choose a place in each quadrant around the fovea."""
    x, y = anatomy.fovea
    signs = [(across, down) for across in (-1, 1) for down in (-1, 1)]
    return [(x + across * rng.uniform(0.3, 0.4), y + down * rng.uniform(0.36, 0.48)) for across, down in signs]


def _territories(anatomy: Anatomy, rng: np.random.Generator) -> list[Place]:
    """Choose one or two places towards corners of the photograph, so that its other corners stay healthy."""
    places: list[Place] = []
    count = 1 if rng.random() < 0.7 else 2
    while len(places) < count:
        angle = (int(rng.integers(4)) + rng.uniform(0.25, 0.75)) * np.pi / 2
        radius = rng.uniform(0.42, 0.62)
        x, y = radius * np.cos(angle), radius * np.sin(angle)
        if np.hypot(x - anatomy.disc[0], y - anatomy.disc[1]) > 1.2 * anatomy.disc_diameter:
            places.append((x, y))
    return places


def _scatter(
    anatomy: Anatomy,
    centre: Place,
    spread: float,
    count: int,
    rng: np.random.Generator,
    clear_of_fovea: float = 0.07,
) -> list[Place]:
    """Draw `count` places around a centre, in the field, off the disc, and at least `clear_of_fovea` from the fovea."""
    places: list[Place] = []
    while len(places) < count:
        x, y = rng.normal(centre, spread)
        off_disc = np.hypot(x - anatomy.disc[0], y - anatomy.disc[1]) > 0.68 * anatomy.disc_diameter
        off_fovea = np.hypot(x - anatomy.fovea[0], y - anatomy.fovea[1]) > clear_of_fovea
        if off_disc and off_fovea and np.hypot(x, y) < 0.84:
            places.append((float(x), float(y)))
    return places


def _haemorrhage(anatomy: Anatomy, x: float, y: float, rng: np.random.Generator) -> Lesion:
    """Draw a blot, or a flame that lies along the nerve fibres, which come from the disc."""
    fibre = np.arctan2(y - anatomy.disc[1], x - anatomy.disc[0]) + rng.normal(0, 0.25)
    if rng.random() < 0.4:
        return Lesion(HAEMORRHAGE, x, y, rng.uniform(0.05, 0.085), float(fibre), rng.uniform(2.0, 3.2))
    return Lesion(HAEMORRHAGE, x, y, rng.uniform(0.024, 0.052), float(fibre), rng.uniform(1.0, 1.4))


def _exudates(anatomy: Anatomy, oedema: int, territories: list[Place], rng: np.random.Generator) -> list[Lesion]:
    """Draw sharp yellow specks in clumps and broken rings.

    oedema 1: beyond a disc diameter from the fovea, 2: within.
    """
    if oedema == 0:
        return []
    keep_off = 1.15 * anatomy.disc_diameter if oedema == 1 else 0.05
    lesions = []
    for x, y in territories[:2]:
        bearing = np.arctan2(y - anatomy.fovea[1], x - anatomy.fovea[0]) + rng.normal(0, 0.25)
        away = rng.uniform(0.12, 0.24) if oedema == 2 else rng.uniform(1.5, 1.9) * anatomy.disc_diameter
        centre = (anatomy.fovea[0] + away * np.cos(bearing), anatomy.fovea[1] + away * np.sin(bearing))
        ring, start = rng.uniform(0.06, 0.11), rng.uniform(0, 2 * np.pi)
        for _ in range(int(rng.integers(2, 5))):
            bearing = start + rng.uniform(0, 4.2)
            clump = (centre[0] + ring * np.cos(bearing), centre[1] + ring * np.sin(bearing))
            for x, y in _scatter(anatomy, clump, 0.03, int(rng.integers(4, 10)), rng, keep_off):
                radius = 0.008 + 0.018 * rng.random() ** 2
                lesions.append(Lesion(EXUDATE, x, y, radius, rng.uniform(0, np.pi), rng.uniform(1, 1.5)))
    return lesions


def _drusen(anatomy: Anatomy, amount: int, rng: np.random.Generator) -> list[Lesion]:
    count = (0, int(rng.integers(14, 24)), int(rng.integers(40, 60)))[amount]
    places = _scatter(anatomy, anatomy.fovea, 0.15, count, rng, 0.0)
    return [Lesion(DRUSEN, x, y, rng.uniform(0.012, 0.024 + 0.008 * amount)) for x, y in places]


def _proliferation(anatomy: Anatomy, territories: list[Place], rng: np.random.Generator) -> list[Lesion]:
    """Draw new vessels at the disc's rim and along the arcades, a preretinal haemorrhage with a level top, or both."""
    lesions = []
    form = int(rng.integers(3))
    if form != 1:
        bearing = rng.uniform(-1.2, 1.2)
        reach = 0.75 * anatomy.disc_diameter
        at_disc = (anatomy.disc[0] + reach * np.cos(bearing), anatomy.disc[1] + reach * np.sin(bearing))
        for x, y in (at_disc, territories[0]):
            lesions.append(Lesion(NEW_VESSELS, float(x), float(y), rng.uniform(0.09, 0.14), rng.uniform(0, np.pi)))
    if form != 0:
        x, y = _scatter(anatomy, territories[-1], 0.05, 1, rng)[0]
        lesions.append(Lesion(PRERETINAL, x, y, rng.uniform(0.12, 0.2), 0.0, rng.uniform(1.1, 1.6)))
    return lesions
