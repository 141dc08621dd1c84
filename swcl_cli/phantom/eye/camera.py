"""Photograph a drawn eye: field of view, light, colour, sharpness and noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.chance import generator

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Camera:
    """Describe a camera and its settings.

    aspect: width / height; field: radius of the round field / height (over 0.5: top and bottom are cut off).

    zoom: magnification against 45 degrees; blur in pixels at height 448; noise in grey levels.
    """

    aspect: float
    field: float
    zoom: float = 1.0
    notch: bool = False
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exposure: float = 1.0
    vignette: float = 0.25
    blur: float = 0.7
    sharpen: float = 0.0
    noise: float = 2.0


@dataclass(frozen=True)
class View:
    """Map the left-eye frame of anatomy.py to the pixels of a photograph, and back."""

    height: int
    width: int
    scale: float
    mirror: float
    centre: tuple[float, float]
    radius: float
    origin: tuple[float, float]
    cosine: float
    sine: float

    def place(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (N, 2) in field radii to pixels (N, 2), as (x, y)."""
        x, y = (points[:, 0] - self.origin[0]) * self.mirror, points[:, 1] - self.origin[1]
        turned = np.stack([x * self.cosine - y * self.sine, x * self.sine + y * self.cosine], axis=1)
        return np.asarray(turned * self.scale + np.array(self.centre))

    def grid(self) -> tuple[Floats, Floats]:
        """Return the left-eye coordinates (x, y) of every pixel: two (H, W) arrays, the inverse of `place`."""
        across = ((np.arange(self.width, dtype=np.float32) - self.centre[0]) / self.scale)[None, :]
        down = ((np.arange(self.height, dtype=np.float32) - self.centre[1]) / self.scale)[:, None]
        x = (across * self.cosine + down * self.sine) * self.mirror + self.origin[0]
        y = down * self.cosine - across * self.sine + self.origin[1]
        return x.astype(np.float32), y.astype(np.float32)


def choose_camera(seed: int, patient: int) -> Camera:
    """Draw the camera of both eyes of a patient: square with the whole circle, or wide and often cut off."""
    rng = generator(seed, "phantom camera", item=patient)
    aspect, field = ((1.0, 0.495), (4 / 3, 0.485), (1.5, 0.6), (1.5, 0.475), (4 / 3, 0.56))[rng.integers(5)]
    return Camera(
        aspect=aspect,
        field=field,
        zoom=rng.uniform(0.88, 1.12),
        notch=bool(rng.random() < 0.3),
        balance=(rng.uniform(0.96, 1.06), rng.uniform(0.92, 1.06), rng.uniform(0.82, 1.15)),
        exposure=rng.uniform(0.66, 1.18),
        vignette=rng.uniform(0.1, 0.45),
        blur=rng.uniform(0.5, 1.6),
        sharpen=max(0.0, rng.uniform(-0.6, 0.6)),
        noise=rng.uniform(0.8, 3.5),
    )


def aim(camera: Camera, rng: np.random.Generator, side: int, height: int) -> View:
    """Point the camera at the left (side 0) or right (1) eye, a little off and a little turned."""
    turn = np.deg2rad(rng.normal(0, 3))
    width = round(height * camera.aspect)
    radius = camera.field * height
    return View(
        height=height,
        width=width,
        scale=radius * camera.zoom,
        mirror=-1.0 if side else 1.0,
        centre=((width - 1) / 2, (height - 1) / 2),
        radius=radius,
        origin=(rng.uniform(-0.05, 0.06), rng.uniform(-0.08, 0.08)),
        cosine=float(np.cos(turn)),
        sine=float(np.sin(turn)),
    )


def field_of_view(view: View, notch: bool) -> Bytes:
    """Draw the mask of the lit circle, (H, W) 0/1, cut by the frame; some cameras leave a notch at its upper right."""
    fov = np.zeros((view.height, view.width), np.uint8)
    centre = (round(view.centre[0] * 16), round(view.centre[1] * 16))
    cv2.circle(fov, centre, round(view.radius * 16), 1, -1, shift=4)
    if notch:
        tab = np.array(view.centre) + view.radius * 1.01 * np.array([np.cos(-0.85), np.sin(-0.85)])
        cv2.circle(fov, (round(tab[0]), round(tab[1])), max(1, round(view.radius * 0.05)), 1, -1)
    return fov


def light(view: View, vignette: float, rng: np.random.Generator) -> Floats:
    """Draw uneven light as factors (H, W, 3): a slope, a vignette, a dim spot, sometimes a pale crescent at the rim."""
    x = ((np.arange(view.width, dtype=np.float32) - view.centre[0]) / view.radius)[None, :]
    y = ((np.arange(view.height, dtype=np.float32) - view.centre[1]) / view.radius)[:, None]
    square = x * x + y * y
    angle = rng.uniform(0, 2 * np.pi)
    lit = 1 + rng.uniform(0.04, 0.2) * (x * np.cos(angle) + y * np.sin(angle)) - vignette * square
    at = rng.uniform(-0.9, 0.9, 2)
    lit = lit - rng.uniform(0, 0.4) * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / rng.uniform(0.1, 0.4))
    lit = np.clip(lit, 0.12, None)
    rim = rng.uniform(0, 2 * np.pi)
    edge = np.clip(np.sqrt(square) - rng.uniform(0.72, 0.86), 0, None) / 0.2
    facing = np.clip(0.35 + (x * np.cos(rim) + y * np.sin(rim)), 0, None)
    glow = max(0.0, rng.uniform(-0.5, 0.7)) * np.clip(edge, 0, 1.2) ** 2 * facing
    tint = np.array([0.55, 0.85, 0.9]) * rng.uniform(0.8, 1.2, 3)
    return np.asarray(lit[..., None] + glow[..., None] * tint, dtype=np.float32)


def expose(retina: Floats, fov: Bytes, camera: Camera, rng: np.random.Generator) -> Bytes:
    """Turn the lit retina (H, W, 3), 0 to 255 and beyond, into the photograph, uint8: haze, blur, grain."""
    height, width = fov.shape
    haze = rng.uniform(0, 0.22)
    veil = np.array([168, 134, 112], dtype=np.float32) * camera.exposure
    image = retina * (np.array(camera.balance, dtype=np.float32) * camera.exposure * (1 - haze)) + haze * veil
    shoulder = np.float32(190)
    image = np.where(image > shoulder, shoulder + 65 * np.tanh((image - shoulder) / 65), image)
    unit = height / 448
    image = cv2.GaussianBlur(image, (0, 0), camera.blur * unit + 0.2)
    if camera.sharpen > 0:
        image = image + camera.sharpen * (image - cv2.GaussianBlur(image, (0, 0), 2.0 * unit + 0.1))
    edge = cv2.GaussianBlur(fov.astype(np.float32), (0, 0), 0.9 * unit + 0.1)
    grain = rng.standard_normal((height, width, 1), dtype=np.float32)
    speckle = rng.standard_normal(((height + 1) // 2, (width + 1) // 2, 3), dtype=np.float32)
    grain = grain * 0.7 + 0.6 * cv2.resize(speckle, (width, height), interpolation=cv2.INTER_LINEAR)
    image = (image + camera.noise * grain) * edge[..., None] + rng.uniform(0, 5)
    return np.asarray(np.clip(image + 0.5, 0, 255), dtype=np.uint8)
