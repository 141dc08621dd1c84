"""Lay phantom eyes out as the Messidor download: base folders of TIFFs with a table each, errata and duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.camera import Camera
from swcl_cli.phantom.eye.disease import OEDEMA, EyeFindings
from swcl_cli.phantom.eye.patient import draw_eye
from swcl_cli.phantom.layouts.studio import FIRST_PERSON, draw_each, write_lesion_mask, write_workbook

BASES = ("Base11", "Base12", "Base33")
DOUBLED = "Base33"
COLUMNS = ("Image name", "Ophthalmologic department", "Retinopathy grade", "Risk of macular edema ")
DEPARTMENTS = {"1": "Service Ophtalmologie Lariboisiere", "3": "LaTIM - CHU de BREST"}
ERRATUM = ("Base11", "20051020_63045_0100_PP")  # its eye is healthy, but the table gives it WRONG_GRADE
WRONG_GRADE = 1
GRADES = (0.45, 0.15, 0.2, 0.2)
CAMERA = Camera(aspect=1.5, field=0.475, notch=True, balance=(1.08, 0.95, 0.8), exposure=0.9, vignette=0.3)


@dataclass(frozen=True)
class Job:
    """Say which eye to draw, each of another person; index counts the eyes of all bases."""

    folder: Path
    lesion_folder: Path
    seed: int
    index: int
    base: str
    stem: str
    size: int


def lay_out_messidor(
    folder: Path, lesion_folder: Path, seed: int, eyes: int, size: int, workers: int = 1
) -> Iterator[int]:
    """Draw `eyes` eyes of as many people, a third into each of three bases; yield a count. Tables come last.

    The last base holds copies of two photographs: the first with an equal grade, the second with another grade.
    """
    jobs = []
    for index in range(eyes):
        base = BASES[index * len(BASES) // eyes]
        stem = ERRATUM[1] if index == 0 else f"2005{1020 + index % 9}_{43808 + 37 * index}_0100_PP"
        jobs.append(Job(folder, lesion_folder, seed, index, base, stem, size))
    rows: dict[str, list[tuple[object, ...]]] = {base: [] for base in BASES}
    for job, (grade, oedema) in zip(jobs, draw_each(_draw, jobs, workers), strict=True):
        rows[job.base].append((f"{job.stem}.tif", DEPARTMENTS[job.base[4]], grade, oedema))
        yield job.index
    _double(folder, rows[DOUBLED])
    for base in BASES:
        write_workbook(folder / f"Annotation_{base}.xlsx", [COLUMNS, *rows[base]])


def _draw(job: Job) -> tuple[int, int]:
    """Draw an eye; return the grades that the table gives for it, which are wrong for ERRATUM."""
    chance = generator(job.seed, "phantom messidor", item=job.index)
    wrong = (job.base, job.stem) == ERRATUM
    grade = 0 if wrong else int(chance.choice(4, p=GRADES))
    findings = EyeFindings(retinopathy=grade, oedema=int(chance.choice(3, p=OEDEMA)) if grade >= 2 else 0)
    eye = draw_eye(job.seed, FIRST_PERSON["messidor"] + job.index, int(chance.integers(2)), job.size, findings, CAMERA)
    name = f"{job.base}/{job.stem}.tif"
    path = job.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(eye.image).save(path, compression="tiff_lzw")
    write_lesion_mask(job.lesion_folder, name, eye.lesions)
    return (WRONG_GRADE if wrong else min(eye.labels.retinopathy, 3)), eye.labels.oedema


def _double(folder: Path, rows: list[tuple[object, ...]]) -> None:
    """Copy the first two photographs under other compression; the second copy gets another grade."""
    for number, (name, department, grade, oedema) in enumerate(rows[:2]):
        stem = f"20051205_{33025 + number}_0400_PP"
        assert isinstance(grade, int)
        with Image.open(folder / DOUBLED / str(name)) as image:
            image.save(folder / DOUBLED / f"{stem}.tif", compression="tiff_adobe_deflate")
        rows.append((f"{stem}.tif", department, (grade + number) % 4, oedema))
