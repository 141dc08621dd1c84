"""Paint the healthy retina in colour: pigment, choroid, macula, optic disc, and the vessels over them."""

from __future__ import annotations

import cv2
import numpy as np

from swcl_cli.phantom.eye.anatomy import Anatomy
from swcl_cli.phantom.eye.camera import Bytes, Floats
from swcl_cli.phantom.eye.vessels import PaintedVessels

# Shares of red, green and blue that pass through a vessel.
ARTERY = np.array([0.88, 0.56, 0.62], dtype=np.float32)
VEIN = np.array([0.74, 0.42, 0.52], dtype=np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Floats:
    """Draw noise (H, W) of about unit variance with about `cells` bumps along the height."""
    across = max(2, round(cells * shape[1] / shape[0]))
    coarse = rng.standard_normal((max(2, cells), across), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def paint_fundus(anatomy: Anatomy, grid: tuple[Floats, Floats], rng: np.random.Generator) -> Floats:
    """Paint the pigmented ground with its choroidal vessels and the dark macula, without the disc: (H, W, 3)."""
    x, y = grid
    shape = (x.shape[0], x.shape[1])
    mottle = sum(depth * smooth_noise(rng, shape, cells) for depth, cells in ((0.05, 5), (0.025, 24), (0.018, 70)))
    from_disc = np.hypot(x - anatomy.disc[0], y - anatomy.disc[1])
    from_fovea = np.hypot(x - anatomy.fovea[0], y - anatomy.fovea[1])
    cover = 1 - np.exp(-((from_fovea / 0.42) ** 2))
    choroid = _choroid(grid, anatomy, rng) * np.float32(anatomy.tessellation) * cover
    fibres = 0.1 * np.exp(-from_disc / 0.32) * (1 + 0.25 * smooth_noise(rng, shape, 40))
    macula = anatomy.macula_depth * np.exp(-((from_fovea / 0.22) ** 2))
    macula = macula + 0.24 * np.exp(-((from_fovea / 0.075) ** 2))
    reflex = 0.22 * anatomy.foveal_reflex * np.exp(-((from_fovea / 0.018) ** 2))
    ground = np.array(anatomy.complexion, dtype=np.float32)
    stripes, dark = np.array([0.14, 0.34, 0.26], np.float32), np.array([0.55, 0.85, 0.75], np.float32)
    tone = 1 + mottle + fibres + reflex
    shades = tone[..., None] + choroid[..., None] * stripes - macula[..., None] * dark
    return np.asarray(ground * shades, dtype=np.float32)


def _choroid(grid: tuple[Floats, Floats], anatomy: Anatomy, rng: np.random.Generator) -> Floats:
    """Draw bands that fan out from beyond the disc to the temple: ridges of a noise stretched along them."""
    x, y = grid
    shape = (x.shape[0], x.shape[1])
    coarse = rng.standard_normal((170, 18), dtype=np.float32)
    texture = cv2.resize(coarse, (18 * 8, 170 * 8), interpolation=cv2.INTER_CUBIC)
    bend = 0.07 * smooth_noise(rng, shape, 7)
    dx, dy = x - anatomy.disc[0] + 0.8, y - anatomy.disc[1]
    angle = np.arctan2(dy, dx) + bend
    rows = (angle / (2 * np.pi) + 0.5) * (texture.shape[0] - 1)
    columns = np.sqrt(dx * dx + dy * dy) / 3.0 * (texture.shape[1] - 1)
    field = cv2.remap(
        texture, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(0.5 - np.minimum(np.abs(field), 1.2), dtype=np.float32)


def disc_distance(anatomy: Anatomy, grid: tuple[Floats, Floats], part: float, shift: tuple[float, float]) -> Floats:
    """Return each pixel's distance (H, W) from the centre of the disc, or of an ellipse of `part` of its size.

    1 on the outline, less within. shift: of the centre, in disc diameters.
    """
    tilt = np.deg2rad(anatomy.disc_tilt)
    dx = grid[0] - anatomy.disc[0] - shift[0] * anatomy.disc_diameter
    dy = grid[1] - anatomy.disc[1] - shift[1] * anatomy.disc_diameter
    across, along = dx * np.cos(tilt) + dy * np.sin(tilt), dy * np.cos(tilt) - dx * np.sin(tilt)
    half = anatomy.disc_diameter / 2 * part
    return np.asarray(np.hypot(across / half, along / (half * anatomy.disc_stretch)), dtype=np.float32)


def paint_disc(
    fundus: Floats, anatomy: Anatomy, grid: tuple[Floats, Floats], rng: np.random.Generator
) -> tuple[Floats, Bytes, Bytes]:
    """Paint the disc into the fundus; return the image and the 0/1 masks of disc and cup."""
    outline = disc_distance(anatomy, grid, 1.0, (0.0, 0.0))
    hollow = disc_distance(anatomy, grid, anatomy.cup_ratio, anatomy.cup_shift)
    ground = np.array(anatomy.complexion, dtype=np.float32)
    luminance = float(np.clip(ground[0] / 190, 0.88, 1.1))
    rim = 0.25 * ground + 0.75 * np.array([262, 206, 136], dtype=np.float32) * luminance
    rim = np.maximum(rim, 1.25 * ground)
    cup = np.array([272, 248, 186], dtype=np.float32) * luminance
    crescent = disc_distance(anatomy, grid, 1.22, (0.1, 0.02))
    halo = np.exp(-np.clip(outline - 1, 0, None) / 0.35)[..., None] * 0.12
    image = fundus * (1 + halo)
    pale = anatomy.crescent * _soft(crescent, 0.12)[..., None]
    image = image + pale * (0.55 * (rim - image))
    pallor = 1 + 0.1 * np.clip((grid[0] - anatomy.disc[0]) / anatomy.disc_diameter, -0.5, 0.5)
    pallor = pallor + 0.03 * smooth_noise(rng, outline.shape, 60)
    inside = _soft(outline, 0.1)[..., None]
    image = image + inside * (rim * pallor[..., None] - image)
    depth = (_soft(hollow, 0.22) * _soft(outline, 0.1))[..., None]
    image = image + depth * (cup - image)
    disc_mask = (outline <= 1).astype(np.uint8)
    return image.astype(np.float32), disc_mask, ((hollow <= 1) & (outline <= 1)).astype(np.uint8)


def _soft(distance: Floats, width: float) -> Floats:
    return np.asarray(1 / (1 + np.exp(np.clip((distance - 1) * 4 / width, -30, 30))), dtype=np.float32)


def add_vessels(image: Floats, vessels: PaintedVessels) -> Floats:
    """Add the vessels: blood absorbs mostly green and blue, and wide vessels reflect light along their middle."""
    for coverage, passing in ((vessels.arteries, ARTERY), (vessels.veins, VEIN)):
        image = image * (1 - coverage[..., None] * (1 - passing))
    shine = (vessels.reflex * 0.22)[..., None]
    return np.asarray(image * (1 + shine), dtype=np.float32)
