"""Lay phantom patients out as people's own photographs: folders by clinic, and a table of labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swcl_cli.catalogue.labels import ABNORMAL, DR_GRADE
from swcl_cli.chance import generator
from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import draw_patient
from swcl_cli.phantom.layouts.studio import FIRST_PERSON, draw_each, write_eye, write_table

CLINICS = ("north", "south")
TABLE = "labels.csv"
COLUMNS = ("image", "patient", "eye", ABNORMAL, DR_GRADE, "age", "sex")


@dataclass(frozen=True)
class Job:
    """Say which patient to draw, both eyes, at `size` pixels."""

    folder: Path
    lesion_folder: Path
    seed: int
    patient: int
    size: int


def lay_out_folder(
    folder: Path, lesion_folder: Path, seed: int, patients: int, size: int, workers: int = 1
) -> Iterator[int]:
    """Draw both eyes of `patients` patients, as north/P000_L.jpg; yield each id once drawn. The table comes last."""
    jobs = [Job(folder, lesion_folder, seed, patient, size) for patient in range(patients)]
    rows: list[tuple[object, ...]] = []
    for job, both in zip(jobs, draw_each(_draw, jobs, workers), strict=True):
        rows.extend(both)
        yield job.patient
    write_table(folder / TABLE, [COLUMNS, *rows])


def _draw(job: Job) -> list[tuple[object, ...]]:
    person = FIRST_PERSON["folder"] + job.patient
    chance = generator(job.seed, "phantom own photographs", item=job.patient)
    age, sex = int(chance.integers(20, 90)), ("f", "m")[int(chance.integers(2))]
    rows: list[tuple[object, ...]] = []
    for eye, letter in zip(
        draw_patient(job.seed, person, job.size, choose_findings(job.seed, person)), "LR", strict=True
    ):
        name = f"{CLINICS[job.patient % len(CLINICS)]}/P{job.patient:03d}_{letter}.jpg"
        write_eye(job.folder, job.lesion_folder, name, eye)
        labels = eye.labels
        rows.append((name, f"P{job.patient:03d}", letter, int(labels.abnormal), labels.retinopathy, age, sex))
    return rows
