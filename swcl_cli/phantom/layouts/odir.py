"""Lay phantom patients out as the official OIA-ODIR download: three parts, each with its images and its workbook."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.labels import KEYWORD_COMMA, NORMAL, Labels
from swcl_cli.phantom.eye.outside import draw_anterior_segment
from swcl_cli.phantom.eye.patient import SIDES, draw_patient
from swcl_cli.phantom.layouts.studio import (
    FIRST_PERSON,
    draw_each,
    write_eye,
    write_lesion_mask,
    write_photograph,
    write_workbook,
)

PARTS = (
    ("Training Set", "training annotation (English).xlsx", 0.7),
    ("Off-site Test Set", "off-site test annotation (English).xlsx", 0.1),
    ("On-site Test Set", "on-site test annotation (English).xlsx", 0.2),
)
COLUMNS = (
    "ID",
    "Patient Age",
    "Patient Sex",
    "Left-Fundus",
    "Right-Fundus",
    "Left-Diagnostic Keywords",
    "Right-Diagnostic Keywords",
    *"NDGCAHMO",
)
ANTERIOR_SEGMENT = "anterior segment image"
ANTERIOR_FROM = 20
DUST = "lens dust"


@dataclass(frozen=True)
class Job:
    """Say which patient to draw; outside: the side (0, 1) photographed from outside by mistake, if any."""

    folder: Path
    lesion_folder: Path
    seed: int
    patient: int
    size: int
    part: str
    outside: int | None


def lay_out_odir(
    folder: Path, lesion_folder: Path, seed: int, patients: int, size: int, workers: int = 1
) -> Iterator[int]:
    """Draw `patients` patients, ids counted through the three parts (70, 10, 20 %); yield each id once drawn.

    Where there are 20 patients or more, one patient of the training part has an "anterior segment image". Workbooks
    come last.
    """
    first = round(patients * PARTS[0][2])
    second = first + round(patients * PARTS[1][2])
    bounds = (0, first, second, patients)
    chance = generator(seed, "phantom odir")
    stray = int(chance.integers(first)) if patients >= ANTERIOR_FROM else None
    side = int(chance.integers(2))
    jobs = [
        Job(folder, lesion_folder, seed, patient, size, part, side if patient == stray else None)
        for (part, _, _), (start, stop) in zip(PARTS, pairwise(bounds), strict=True)
        for patient in range(start, stop)
    ]
    rows = []
    for job, row in zip(jobs, draw_each(_draw, jobs, workers), strict=True):
        rows.append(row)
        yield job.patient
    for (part, workbook, _), (start, stop) in zip(PARTS, pairwise(bounds), strict=True):
        write_workbook(folder / part / "Annotation" / workbook, [COLUMNS, *rows[start:stop]])


def _draw(job: Job) -> tuple[object, ...]:
    person = FIRST_PERSON["odir"] + job.patient
    findings = choose_findings(job.seed, person)
    eyes = draw_patient(job.seed, person, job.size, findings)
    chance = generator(job.seed, "phantom person", item=job.patient)
    keywords, labels = [], []
    for side, eye in enumerate(eyes):
        name = f"{job.part}/Images/{job.patient}_{SIDES[side]}.jpg"
        if side == job.outside:
            write_photograph(job.folder, name, draw_anterior_segment(chance, *eye.fov.shape))
            write_lesion_mask(job.lesion_folder, name, eye.lesions * 0)
            keywords.append(ANTERIOR_SEGMENT)
            continue
        write_eye(job.folder, job.lesion_folder, name, eye)
        labels.append(eye.labels)
        keywords.append(_with_dust(eye.labels.keywords, chance) if findings[side].dust else eye.labels.keywords)
    elderly = any(eye.drusen > 0 for eye in labels)
    age = int(chance.integers(58, 86)) if elderly else int(chance.integers(26, 82))
    sex = ("Female", "Male")[int(chance.integers(2))]
    photographs = tuple(f"{job.patient}_{side}.jpg" for side in SIDES)
    return (job.patient, age, sex, *photographs, *keywords, *_flags(labels, job.outside is not None))


def _with_dust(keywords: str, chance: np.random.Generator) -> str:
    """Add the keyword of lens dust; for a normal eye it often replaces the others, as in the download."""
    if keywords == NORMAL and chance.random() < 0.4:
        return DUST
    return DUST + KEYWORD_COMMA + keywords


def _flags(labels: list[Labels], other: bool) -> tuple[int, ...]:
    """Return the patient's N, D, G, C, A, H, M, O: a few drusen are "other", many are A, as in the download."""
    flags = {
        "D": any(eye.retinopathy > 0 for eye in labels),
        "G": any(eye.glaucoma for eye in labels),
        "A": any(eye.degenerate for eye in labels),
        "O": other or any(eye.drusen > 0 and not eye.degenerate for eye in labels),
    }
    flags["N"] = not any(flags.values())
    return tuple(int(flags.get(letter, False)) for letter in "NDGCAHMO")
