"""Lay phantom eyes out as the REFUGE download: three parts, masks of disc and cup, two tables of labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.camera import Camera
from swcl_cli.phantom.eye.disease import EyeFindings
from swcl_cli.phantom.eye.patient import Eye, draw_eye
from swcl_cli.phantom.layouts.studio import FIRST_PERSON, draw_each, write_photograph, write_workbook

GLAUCOMA = 0.3  # share of eyes; REFUGE has 0.1, but in a small part both classes need some eyes
CAMERAS = {  # the training part came from another camera
    "train": Camera(aspect=2124 / 2056, field=0.49, balance=(1.12, 0.92, 0.55), exposure=0.95, vignette=0.3),
    "val": Camera(aspect=1.0, field=0.495, balance=(1.1, 1.0, 0.85), exposure=0.8, vignette=0.2, blur=1.0),
}
CAMERAS["test"] = CAMERAS["val"]
PHOTOGRAPHS = {"val": "REFUGE-Validation400/V", "test": "Test400/T"}
MASKS = {"val": "REFUGE-Validation400-GT/Disc_Cup_Masks/V", "test": "REFUGE-Test-GT/Disc_Cup_Masks/{letter}/T"}
TABLES = {
    "val": ("REFUGE-Validation400-GT/Fovea_locations.xlsx", ("ID", "ImgName", "Fovea_X", "Fovea_Y", "Glaucoma Label")),
    "test": (
        "REFUGE-Test-GT/Glaucoma_label_and_Fovea_location.xlsx",
        ("ID", "ImgName", "Label(Glaucoma=1)", "Fovea_X", "Fovea_Y"),
    ),
}


@dataclass(frozen=True)
class Job:
    """Say which eye to draw, each of another person.

    index counts the eyes of all parts, number those of its part (train: those with, or without, glaucoma).
    """

    folder: Path
    seed: int
    index: int
    part: str
    number: int
    glaucoma: bool
    size: int


def lay_out_refuge(folder: Path, seed: int, eyes: int, size: int, workers: int = 1) -> Iterator[int]:
    """Draw `eyes` eyes into each of the three parts, of as many people; yield a count. Tables come last."""
    jobs: list[Job] = []
    for part in CAMERAS:
        ill = set(
            generator(seed, f"phantom refuge {part}").permutation(eyes)[: max(1, round(GLAUCOMA * eyes))].tolist()
        )
        for place in range(eyes):
            number = place + 1
            if part == "train":
                number = sum((other in ill) == (place in ill) for other in range(place + 1))
            jobs.append(Job(folder, seed, len(jobs), part, number, place in ill, size))
    rows: dict[str, list[tuple[object, ...]]] = {"val": [], "test": []}
    for job, (name, fovea) in zip(jobs, draw_each(_draw, jobs, workers), strict=True):
        if job.part == "val":
            rows["val"].append((job.number, name, *fovea, int(job.glaucoma)))
        elif job.part == "test":
            rows["test"].append((job.number, name, int(job.glaucoma), *fovea))
        yield job.index
    for part, (table, columns) in TABLES.items():
        write_workbook(folder / table, [columns, *rows[part]])


def _draw(job: Job) -> tuple[str, tuple[float, float]]:
    side = int(generator(job.seed, "phantom refuge", item=job.index).integers(2))
    findings = EyeFindings(glaucoma=job.glaucoma)
    eye = draw_eye(job.seed, FIRST_PERSON["refuge"] + job.index, side, job.size, findings, CAMERAS[job.part])
    photograph, mask = _names(job)
    write_photograph(job.folder, photograph, eye.image)
    (job.folder / mask).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_disc_and_cup(eye)).save(job.folder / mask)
    return photograph.rpartition("/")[2], (round(eye.fovea[0], 2), round(eye.fovea[1], 2))


def _names(job: Job) -> tuple[str, str]:
    if job.part == "train":
        kind, letter = ("Glaucoma", "g") if job.glaucoma else ("Non-Glaucoma", "n")
        masks = f"Annotation-Training400/Disc_Cup_Masks/{kind}/{letter}"
        return f"Training400/{kind}/{letter}{job.number:04d}.jpg", f"{masks}{job.number:04d}.bmp"
    masks = MASKS[job.part].format(letter="G" if job.glaucoma else "N")
    return f"{PHOTOGRAPHS[job.part]}{job.number:04d}.jpg", f"{masks}{job.number:04d}.bmp"


def _disc_and_cup(eye: Eye) -> np.ndarray:
    """Return the mask as REFUGE stores it: 0 in the cup, 128 in the rim, 255 elsewhere."""
    return np.select([eye.cup > 0, eye.disc > 0], [np.uint8(0), np.uint8(128)], np.uint8(255))
