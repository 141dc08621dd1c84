"""Draw and photograph a patient's two eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.anatomy import draw_anatomy
from swcl_cli.phantom.eye.camera import Bytes, Camera, Floats, View, aim, choose_camera, expose, field_of_view, light
from swcl_cli.phantom.eye.disease import EyeFindings, Findings, place_lesions
from swcl_cli.phantom.eye.labels import Labels, read_labels
from swcl_cli.phantom.eye.lesions import DEEP, Lesion, paint_dust, paint_lesion
from swcl_cli.phantom.eye.retina import add_vessels, paint_disc, paint_fundus
from swcl_cli.phantom.eye.vessels import PaintedVessels, grow, paint

SIDES = ("left", "right")


@dataclass(frozen=True)
class Eye:
    """Hold the photograph of a drawn eye, its masks and its labels.

    image (H, W, 3) uint8 RGB; vessels, fov, disc, cup (H, W) 0/1; arteries, veins: those of the vessels, both where
    they cross; lesions (H, W) 0 or 1 + index into KINDS. fovea:
    (x, y) in pixels, disc_diameter in pixels. All masks lie within fov.
    """

    image: Bytes
    vessels: Bytes
    arteries: Bytes
    veins: Bytes
    fov: Bytes
    disc: Bytes
    cup: Bytes
    lesions: Bytes
    fovea: tuple[float, float]
    disc_diameter: float
    labels: Labels


def draw_patient(seed: int, patient: int, size: int, findings: Findings) -> tuple[Eye, Eye]:
    """Draw the left and the right eye, `size` pixels high, photographed by the same camera."""
    camera = choose_camera(seed, patient)
    left, right = (draw_eye(seed, patient, side, size, findings[side], camera) for side in (0, 1))
    return left, right


def draw_eye(seed: int, patient: int, side: int, size: int, findings: EyeFindings, camera: Camera) -> Eye:
    """Draw an eye (side 0 left, 1 right), `size` pixels high. A left eye has its disc on the image's left."""
    anatomy = draw_anatomy(seed, patient, side, findings.glaucoma)
    own = generator(seed, "phantom photograph", item=patient, view=side)
    view = aim(camera, own, side, size)
    fov = field_of_view(view, camera.notch)
    grid = view.grid()
    trunks = generator(seed, "phantom trunks", item=patient)
    twigs = generator(seed, "phantom twigs", item=patient, view=side)
    vessels = paint(grow(anatomy, trunks, twigs), view)
    fundus, disc, cup = paint_disc(paint_fundus(anatomy, grid, own), anatomy, grid, own)
    placing = generator(seed, "phantom lesions", item=patient, view=side)
    image, lesions = _add_lesions(fundus, vessels, place_lesions(anatomy, findings, placing), view, placing)
    image *= light(view, camera.vignette, own)
    if findings.dust:
        paint_dust(image, view, own)
    x, y = view.place(np.array([anatomy.fovea]))[0].tolist()
    diameter = anatomy.disc_diameter * view.scale
    disc, cup, lesions = disc * fov, cup * fov, lesions * fov
    return Eye(
        image=expose(image, fov, camera, own),
        vessels=vessels.mask * fov,
        arteries=(vessels.arteries > 0) * vessels.mask * fov,
        veins=(vessels.veins > 0) * vessels.mask * fov,
        fov=fov,
        disc=disc,
        cup=cup,
        lesions=lesions,
        fovea=(x, y),
        disc_diameter=diameter,
        labels=read_labels(lesions, disc, cup, (x, y), diameter),
    )


def _add_lesions(
    fundus: Floats, vessels: PaintedVessels, placed: list[Lesion], view: View, rng: np.random.Generator
) -> tuple[Floats, Bytes]:
    """Paint vessels and lesions: drusen and exudates under the vessels, the other lesions over them."""
    mask = np.zeros(fundus.shape[:2], np.uint8)
    for lesion in placed:
        if lesion.kind in DEEP:
            paint_lesion(fundus, mask, lesion, view, rng)
    image = add_vessels(fundus, vessels)
    for lesion in placed:
        if lesion.kind not in DEEP:
            paint_lesion(image, mask, lesion, view, rng)
    return image, mask
