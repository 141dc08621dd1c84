"""Lay phantom patients out as the Kaggle EyePACS download: two folders, two label files, a third upside down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import SIDES, draw_patient
from swcl_cli.phantom.layouts.studio import FIRST_PERSON, draw_each, write_eye, write_table

TRAIN = 0.4
PUBLIC = 0.2
INVERTED = 1 / 3
HEIGHTS = (1.0, 1.15, 1.4)


@dataclass(frozen=True)
class Job:
    """Say which patient to draw, at `height` pixels, with an inverting camera or not."""

    folder: Path
    lesion_folder: Path
    seed: int
    patient: int
    height: int
    part: str
    inverted: bool


def lay_out_eyepacs(
    folder: Path, lesion_folder: Path, seed: int, patients: int, size: int, workers: int = 1
) -> Iterator[int]:
    """Draw patients 1 to `patients`, 40 % into train; yield each id once drawn. Label files come last.

    Heights are `size` or up to 1.4 times that. A third of the patients are photographed upside down, both eyes.
    """
    chance = generator(seed, "phantom eyepacs")
    train = set((chance.permutation(patients)[: round(TRAIN * patients)] + 1).tolist())
    inverted = set((chance.permutation(patients)[: round(INVERTED * patients)] + 1).tolist())
    public = set((chance.permutation(patients)[: round(PUBLIC * patients)] + 1).tolist())
    heights = chance.choice(HEIGHTS, patients)
    jobs = [
        Job(
            folder=folder,
            lesion_folder=lesion_folder,
            seed=seed,
            patient=patient,
            height=round(size * heights[patient - 1]),
            part="train" if patient in train else "test",
            inverted=patient in inverted,
        )
        for patient in range(1, patients + 1)
    ]
    train_rows: list[tuple[object, ...]] = [("image", "level")]
    test_rows: list[tuple[object, ...]] = [("image", "level", "Usage")]
    for job, grades in zip(jobs, draw_each(_draw, jobs, workers), strict=True):
        usage = "Public" if job.patient in public else "Private"
        for side, grade in zip(SIDES, grades, strict=True):
            if job.part == "train":
                train_rows.append((f"{job.patient}_{side}", grade))
            else:
                test_rows.append((f"{job.patient}_{side}", grade, usage))
        yield job.patient
    write_table(folder / "trainLabels.csv", train_rows)
    write_table(folder / "retinopathy_solution.csv", test_rows, ending="\r\n")


def _draw(job: Job) -> tuple[int, int]:
    person = FIRST_PERSON["eyepacs"] + job.patient
    left, right = draw_patient(job.seed, person, job.height, choose_findings(job.seed, person))
    for side, eye in zip(SIDES, (left, right), strict=True):
        name = f"{job.part}/{job.patient}_{side}.jpeg"
        write_eye(job.folder, job.lesion_folder, name, eye, job.inverted)
    return left.labels.retinopathy, right.labels.retinopathy
