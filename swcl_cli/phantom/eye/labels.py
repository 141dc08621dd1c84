"""Read the labels of a drawn eye off its masks of lesions, disc and cup."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swcl_cli.phantom.eye.camera import Bytes
from swcl_cli.phantom.eye.lesions import DRUSEN, EXUDATE, HAEMORRHAGE, MICROANEURYSM, NEW_VESSELS, PRERETINAL

GLAUCOMA_CUP_RATIO = 0.65
# Areas in disc areas, so that they don't depend on the size of the photograph: in each quadrant, in all.
MANY_HAEMORRHAGES = 0.15
MANY_DRUSEN = 0.9
KEYWORD_COMMA = "\uff0c"
NORMAL = "normal fundus"
RETINOPATHY_WORDS = (
    "",
    "mild nonproliferative retinopathy",
    "moderate non proliferative retinopathy",
    "severe nonproliferative retinopathy",
    "proliferative diabetic retinopathy",
)


@dataclass(frozen=True)
class Labels:
    """Hold the labels of a drawn eye.

    retinopathy 0 to 4; oedema 0 to 2; drusen: their area in disc areas; cup_ratio: vertical, cup to disc.
    """

    retinopathy: int
    oedema: int
    drusen: float
    cup_ratio: float

    @property
    def glaucoma(self) -> bool:
        """Return whether the cup is so large against the disc that the eye counts as glaucomatous."""
        return self.cup_ratio > GLAUCOMA_CUP_RATIO

    @property
    def degenerate(self) -> bool:
        """Return whether the eye has age-related macular degeneration: many drusen."""
        return self.drusen >= MANY_DRUSEN

    @property
    def abnormal(self) -> bool:
        """Return whether the eye has retinopathy, drusen or glaucoma."""
        return self.retinopathy > 0 or self.drusen > 0 or self.glaucoma

    @property
    def keywords(self) -> str:
        """Return the diagnostic keywords in ODIR's words, joined by its full-width comma."""
        words = [RETINOPATHY_WORDS[self.retinopathy]] if self.retinopathy else []
        if self.drusen > 0:
            words.append("dry age-related macular degeneration" if self.degenerate else "drusen")
        if self.glaucoma:
            words.append("glaucoma")
        return KEYWORD_COMMA.join(words or [NORMAL])


def read_labels(lesions: Bytes, disc: Bytes, cup: Bytes, fovea: tuple[float, float], disc_diameter: float) -> Labels:
    """Measure the labels of an eye in its masks.

    lesions (H, W) holds 1 + index into KINDS; disc and cup are 0/1; fovea (x, y) and disc_diameter in pixels.
    """
    return Labels(
        retinopathy=retinopathy_grade(lesions, fovea, disc_diameter),
        oedema=oedema_grade(lesions, fovea, disc_diameter),
        drusen=float((lesions == DRUSEN).sum() / max(1, disc.sum())),
        cup_ratio=float(cup.any(axis=1).sum() / max(1, disc.any(axis=1).sum())),
    )


def retinopathy_grade(lesions: Bytes, fovea: tuple[float, float], disc_diameter: float) -> int:
    """Grade retinopathy: 0 none, 1 microaneurysms only, 2 more, 3 much blood in each quadrant around the fovea, 4
    proliferative.
    """
    present = set(np.unique(lesions).tolist()) - {0, DRUSEN}
    if present & {NEW_VESSELS, PRERETINAL}:
        return 4
    if not present:
        return 0
    if present == {MICROANEURYSM}:
        return 1
    rows, columns = np.nonzero(lesions == HAEMORRHAGE)
    quadrants = 2 * (columns > fovea[0]) + (rows > fovea[1])
    bled = np.bincount(quadrants, minlength=4) / (np.pi / 4 * disc_diameter**2)
    return 3 if bled.min() >= MANY_HAEMORRHAGES else 2


def oedema_grade(lesions: Bytes, fovea: tuple[float, float], disc_diameter: float) -> int:
    """Grade the risk of oedema: 0 without hard exudates, 2 if any lies within a disc diameter of the fovea, else 1."""
    rows, columns = np.nonzero(lesions == EXUDATE)
    if len(rows) == 0:
        return 0
    return 2 if np.hypot(columns - fovea[0], rows - fovea[1]).min() <= disc_diameter else 1
