"""Lay phantom eyes out as the "B. Disease Grading" part of the IDRiD download, its tables' oddities included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.camera import Camera
from swcl_cli.phantom.eye.disease import OEDEMA, EyeFindings
from swcl_cli.phantom.eye.patient import draw_eye
from swcl_cli.phantom.layouts.studio import FIRST_PERSON, draw_each, write_eye, write_table

ROOT = "B. Disease Grading"
IMAGES = f"{ROOT}/1. Original Images"
TABLES = f"{ROOT}/2. Groundtruths"
# folder, label file, empty trailing columns: only the training table has them
PARTS = (
    ("a. Training Set", "a. IDRiD_Disease Grading_Training Labels.csv", 9),
    ("b. Testing Set", "b. IDRiD_Disease Grading_Testing Labels.csv", 0),
)
COLUMNS = ("Image name", "Retinopathy grade", "Risk of macular edema ")
# Of 516 eyes: 168, 25, 168, 93 and 62.
GRADES = (0.326, 0.048, 0.326, 0.18, 0.12)
CAMERA = Camera(
    aspect=4288 / 2848, field=0.6, notch=True, balance=(1.1, 0.9, 0.4), exposure=1.0, vignette=0.4, blur=0.6
)


@dataclass(frozen=True)
class Job:
    """Say which eye to draw, each of another person; index counts eyes of both parts, number those of its part."""

    folder: Path
    lesion_folder: Path
    seed: int
    index: int
    part: str
    number: int
    size: int


def lay_out_idrid(
    folder: Path, lesion_folder: Path, seed: int, train: int, test: int, size: int, workers: int = 1
) -> Iterator[int]:
    """Draw `train` + `test` eyes of as many people, `size` pixels high; yield a count. Tables come last.

    Both parts are numbered from IDRiD_001.
    """
    jobs = []
    for (part, _, _), first, count in zip(PARTS, (0, train), (train, test), strict=True):
        for number in range(count):
            jobs.append(Job(folder, lesion_folder, seed, first + number, part, number + 1, size))
    rows = []
    for job, row in zip(jobs, draw_each(_draw, jobs, workers), strict=True):
        rows.append(row)
        yield job.index
    for (_, table, padding), part_rows in zip(PARTS, (rows[:train], rows[train:]), strict=True):
        write_table(folder / TABLES / table, [COLUMNS, *part_rows], ending="\r\n", padding=padding)


def _draw(job: Job) -> tuple[object, ...]:
    chance = generator(job.seed, "phantom idrid", item=job.index)
    grade = int(chance.choice(5, p=GRADES))
    findings = EyeFindings(retinopathy=grade, oedema=int(chance.choice(3, p=OEDEMA)) if grade >= 2 else 0)
    side = int(chance.integers(2))
    eye = draw_eye(job.seed, FIRST_PERSON["idrid"] + job.index, side, job.size, findings, CAMERA)
    stem = f"IDRiD_{job.number:03d}"
    write_eye(job.folder, job.lesion_folder, f"{IMAGES}/{job.part}/{stem}.jpg", eye)
    return stem, eye.labels.retinopathy, eye.labels.oedema
