"""Lay phantom eyes out as the STARE download: three folders of gzipped PPM, two observers' vessels."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.camera import Camera
from swcl_cli.phantom.eye.disease import EyeFindings
from swcl_cli.phantom.eye.patient import draw_eye
from swcl_cli.phantom.layouts.studio import FIRST_PERSON, black_and_white, draw_each

HEIGHT, WIDTH = 605, 700
TRAINING = ("0001", "0002", "0003", "0004", "0005", "0044", "0077", "0081", "0082", "0139")
TEST = ("0162", "0163", "0235", "0236", "0239", "0240", "0255", "0291", "0319", "0324")
CAMERA = Camera(aspect=WIDTH / HEIGHT, field=0.55, exposure=1.1, balance=(1.15, 1.0, 0.7), vignette=0.15, blur=1.0)


@dataclass(frozen=True)
class Job:
    """Say which eye to draw, by the number in the file names."""

    folder: Path
    seed: int
    number: str


def lay_out_stare(folder: Path, seed: int, train: int, test: int, workers: int = 1) -> Iterator[int]:
    """Draw `train` + `test` (10 at most) eyes of as many people, half of them ill; yield a count."""
    jobs = [Job(folder, seed, number) for number in (*TRAINING[:train], *TEST[:test])]
    yield from draw_each(_draw, jobs, workers)


def _draw(job: Job) -> int:
    item = int(job.number)
    chance = generator(job.seed, "phantom stare", item=item)
    findings = EyeFindings(retinopathy=int(chance.choice(3, p=(0.5, 0.25, 0.25))))
    eye = draw_eye(job.seed, FIRST_PERSON["stare"] + item, int(chance.integers(2)), HEIGHT, findings, CAMERA)
    second = cv2.dilate(eye.vessels, np.ones((2, 2), np.uint8)) * eye.fov  # this observer sees them a little wider
    _write(job.folder / f"stare-images/im{job.number}.ppm.gz", Image.fromarray(eye.image))
    _write(job.folder / f"labels-ah/im{job.number}.ah.ppm.gz", black_and_white(eye.vessels))
    _write(job.folder / f"labels-vk/im{job.number}.vk.ppm.gz", black_and_white(second.astype(np.uint8)))
    return item


def _write(path: Path, image: Image.Image) -> None:
    raw = BytesIO()
    image.save(raw, format="PPM")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw.getvalue(), compresslevel=1, mtime=0))
