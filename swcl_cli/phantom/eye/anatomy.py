"""Draw where the parts of an eye lie, in the frame of a LEFT eye.

Unit: the radius of a 45-degree field of view. Origin: the nominal centre of the field; x points to the temple (the
disc lies at negative x), y downwards. Right eyes are mirrored when they are photographed (camera.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swcl_cli.chance import generator

NORMAL_CUP = (0.28, 0.52)
ENLARGED_CUP = (0.72, 0.88)

# Means of the lit retina in photographs from different clinics: orange, brick, pink, straw, grey-brown, red.
COMPLEXIONS = ((214, 106, 44), (172, 78, 34), (206, 132, 104), (202, 136, 70), (160, 98, 64), (212, 88, 44))


@dataclass(frozen=True)
class Anatomy:
    """Describe an eye without its vessels and lesions. Lengths in field radii; colours are RGB, 0 to 255."""

    disc: tuple[float, float]
    disc_diameter: float
    disc_stretch: float
    disc_tilt: float
    cup_ratio: float
    cup_shift: tuple[float, float]
    crescent: float
    fovea: tuple[float, float]
    macula_depth: float
    foveal_reflex: float
    complexion: tuple[float, float, float]
    tessellation: float
    tortuosity: float
    vessel_width: float


def draw_anatomy(seed: int, patient: int, side: int, glaucoma: bool) -> Anatomy:
    """Draw the anatomy of an eye (side 0 left, 1 right); the two eyes of a patient differ a little."""
    both = generator(seed, "phantom anatomy", item=patient)
    own = generator(seed, "phantom eye", item=patient, view=side)
    diameter = both.uniform(0.25, 0.31) * own.uniform(0.96, 1.04)
    disc = (-0.6 + both.uniform(-0.05, 0.05) + own.uniform(-0.02, 0.02), both.uniform(-0.06, 0.04))
    gap, slope = diameter * own.normal(2.5, 0.06), both.normal(0.13, 0.03)
    complexion = np.array(COMPLEXIONS[both.integers(len(COMPLEXIONS))]) * both.uniform(0.93, 1.07, 3)
    low, high = ENLARGED_CUP if glaucoma else NORMAL_CUP
    return Anatomy(
        disc=disc,
        disc_diameter=diameter,
        disc_stretch=both.uniform(1.02, 1.14),
        disc_tilt=both.uniform(-12, 12),
        cup_ratio=own.uniform(low, high),
        cup_shift=(own.uniform(0.0, 0.04), own.uniform(-0.03, 0.03)),
        crescent=max(0.0, both.uniform(-0.6, 0.6)),
        fovea=(disc[0] + gap * np.cos(slope), disc[1] + gap * np.sin(slope)),
        macula_depth=both.uniform(0.2, 0.42),
        foveal_reflex=max(0.0, both.uniform(-0.5, 0.5)),
        complexion=(float(complexion[0]), float(complexion[1]), float(complexion[2])),
        tessellation=both.uniform(0.2, 0.85) ** 2,
        tortuosity=both.uniform(0.08, 0.3),
        vessel_width=both.uniform(0.9, 1.15),
    )
