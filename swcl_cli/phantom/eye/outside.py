"""Draw a photograph of the front of an eye, as a few downloads hold by mistake."""

from __future__ import annotations

import cv2
import numpy as np

from swcl_cli.phantom.eye.camera import Bytes
from swcl_cli.phantom.eye.retina import smooth_noise


def draw_anterior_segment(rng: np.random.Generator, height: int, width: int) -> Bytes:
    """Draw lids, white of the eye, iris, pupil, and the lamp's reflection: uint8 RGB (height, width, 3)."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = (176, 124, 102)
    middle = (width // 2, height // 2)
    opening = (round(width * 0.46), round(height * 0.33))
    iris = rng.uniform((60, 40, 20), (120, 80, 50))
    cv2.ellipse(image, middle, opening, 0, 0, 360, (224, 206, 198), -1, cv2.LINE_AA)
    cv2.circle(image, middle, round(height * 0.29), iris.tolist(), -1, cv2.LINE_AA)
    cv2.circle(image, middle, round(height * 0.1), (14, 8, 8), -1, cv2.LINE_AA)
    glint = (round(width * 0.5 + height * 0.05), round(height * 0.44))
    cv2.circle(image, glint, max(1, round(height * 0.03)), (250, 250, 250), -1, cv2.LINE_AA)
    shade = 1 + 0.06 * smooth_noise(rng, (height, width), 12)
    soft = cv2.GaussianBlur(image.astype(np.float32) * shade[..., None], (0, 0), height / 150)
    return np.clip(soft, 0, 255).astype(np.uint8)
