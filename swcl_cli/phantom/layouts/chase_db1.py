"""Lay phantom children out as the CHASE_DB1 download: one folder, both eyes, two observers' vessels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from swcl_cli.phantom.eye.camera import Camera
from swcl_cli.phantom.eye.disease import EyeFindings
from swcl_cli.phantom.eye.patient import draw_eye
from swcl_cli.phantom.layouts.studio import FIRST_PERSON, JPEG_QUALITY, black_and_white, draw_each

HEIGHT, WIDTH = 960, 999
FIRST_TEST = 11
CAMERA = Camera(aspect=WIDTH / HEIGHT, field=0.475, exposure=0.8, balance=(1.1, 0.85, 0.7), vignette=0.4, blur=0.5)


@dataclass(frozen=True)
class Job:
    """Say which child to draw, both eyes, by the number in the file names."""

    folder: Path
    seed: int
    child: int


def lay_out_chase_db1(folder: Path, seed: int, train: int, test: int, workers: int = 1) -> Iterator[int]:
    """Draw both eyes of `train` (10 at most) + `test` (4 at most) children; yield each child's number."""
    children = (*range(1, train + 1), *range(FIRST_TEST, FIRST_TEST + test))
    yield from draw_each(_draw, [Job(folder, seed, child) for child in children], workers)


def _draw(job: Job) -> int:
    job.folder.mkdir(parents=True, exist_ok=True)
    for side, letter in enumerate("LR"):
        eye = draw_eye(job.seed, FIRST_PERSON["chase-db1"] + job.child, side, HEIGHT, EyeFindings(), CAMERA)
        second = cv2.dilate(eye.vessels, np.ones((2, 2), np.uint8)) * eye.fov  # sees them a little wider
        path = job.folder / f"Image_{job.child:02d}{letter}"
        Image.fromarray(eye.image).save(f"{path}.jpg", quality=JPEG_QUALITY)
        black_and_white(eye.vessels).convert("1").save(f"{path}_1stHO.png")
        black_and_white(second.astype(np.uint8)).convert("1").save(f"{path}_2ndHO.png")
    return job.child
