"""Lay phantom eyes out as the DRIVE download: TIFF photographs, and GIF masks of the vessels and of the field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.camera import Camera
from swcl_cli.phantom.eye.disease import EyeFindings
from swcl_cli.phantom.eye.patient import draw_eye
from swcl_cli.phantom.layouts.studio import FIRST_PERSON, black_and_white, draw_each

HEIGHT, WIDTH = 584, 565
CAMERA = Camera(
    aspect=WIDTH / HEIGHT, field=0.462, notch=True, exposure=1.12, balance=(1.12, 0.98, 1.0), vignette=0.2, blur=0.6
)
FIRST_TEST, FIRST_TRAINING = 1, 21


@dataclass(frozen=True)
class Job:
    """Say which eye to draw, each of another person; index counts the eyes of both parts."""

    folder: Path
    seed: int
    index: int
    part: str
    name: str


def lay_out_drive(folder: Path, seed: int, train: int, test: int, workers: int = 1) -> Iterator[int]:
    """Draw `train` + `test` eyes of as many people, a few of them with mild retinopathy; yield a count."""
    names = [("training", f"{FIRST_TRAINING + index:02d}") for index in range(train)]
    names += [("test", f"{FIRST_TEST + index:02d}") for index in range(test)]
    jobs = [Job(folder, seed, index, part, name) for index, (part, name) in enumerate(names)]
    yield from draw_each(_draw, jobs, workers)


def _draw(job: Job) -> int:
    chance = generator(job.seed, "phantom drive", item=job.index)
    side = int(chance.integers(2))
    findings = EyeFindings(retinopathy=int(chance.choice(3, p=(0.8, 0.15, 0.05))))
    eye = draw_eye(job.seed, FIRST_PERSON["drive"] + job.index, side, HEIGHT, findings, CAMERA)
    part = job.folder / job.part
    for folder in ("images", "1st_manual", "mask"):
        (part / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(eye.image).save(part / "images" / f"{job.name}_{job.part}.tif", compression="tiff_lzw")
    black_and_white(eye.vessels).save(part / "1st_manual" / f"{job.name}_manual1.gif")
    black_and_white(eye.fov).save(part / "mask" / f"{job.name}_{job.part}_mask.gif")
    return job.index
