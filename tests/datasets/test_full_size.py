"""The counts of the paper: label files and (empty) image files at the full size of OIA-ODIR and EyePACS."""

from __future__ import annotations

from pathlib import Path

import pytest

from swcl_cli.datasets import eyepacs, odir
from tests import downloads

PATIENTS = {"Training": 3500, "Off-site Test": 500, "On-site Test": 1000}
ANTERIOR = {7, 1200, 3600, 4999}  # of both eyes of four patients none is used (FACTS A3)


@pytest.mark.slow
def test_98702_photographs_less_the_8_anterior_ones(tmp_path: Path) -> None:
    first = 0
    for part, patients in PATIENTS.items():
        folder = tmp_path / f"odir/{part} Set"
        (folder / "Images").mkdir(parents=True)
        rows = []
        for patient in range(first, first + patients):
            words = "anterior segment image" if patient in ANTERIOR else "normal fundus"
            rows.append(downloads.odir_row(patient, right=words))
            for eye in ("left", "right"):
                (folder / f"Images/{patient}_{eye}.jpg").touch()
        downloads.write_xlsx(folder / f"Annotation/{part.lower()} annotation (English).xlsx", rows)
        first += patients
    for part, table, patients in (("train", "trainLabels.csv", 17_563), ("test", "retinopathy_solution.csv", 26_788)):
        (tmp_path / "eyepacs" / part).mkdir(parents=True)
        names = [
            f"{patient + 50_000 * (part == 'test')}_{eye}" for patient in range(patients) for eye in ("left", "right")
        ]
        for name in names:
            (tmp_path / f"eyepacs/{part}/{name}.jpeg").touch()
        downloads.write_csv(tmp_path / "eyepacs" / table, [("image", "level"), *((name, 0) for name in names)])
    both = odir.read(tmp_path / "odir"), eyepacs.read(tmp_path / "eyepacs")
    assert [dict(download.found) for download in both] == [odir.PUBLISHED, eyepacs.PUBLISHED]
    assert sum(len(download.photographs) for download in both) == 98_702 - 8
    assert {problem.problem for download in both for problem in download.problems} == {"dropped"}
