"""The counts of the paper: from label files and (empty) image files at the full size of OIA-ODIR and EyePACS to the
manifests, with made-up outcomes in between.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from swcl_cli.data import manifest
from swcl_cli.datasets import eyepacs, odir
from swcl_cli.datasets.download import Download
from swcl_cli.preparation.assembly import rows_of, sort_out
from swcl_cli.preparation.jobs import Outcome
from swcl_cli.settings import PrepSettings
from swcl_cli.workspace import Workspace
from tests import downloads

PATIENTS = {"Training": 3500, "Off-site Test": 500, "On-site Test": 1000}
ANTERIOR = {7, 1200, 3600, 4999}  # of both eyes of four patients none is used (FACTS A3)


class MadeUp(dict[str, Outcome]):
    """An outcome for each image that is asked for: good, with pixels of its own."""

    def __missing__(self, image_id: str) -> Outcome:
        content = hashlib.sha256(image_id.encode()).hexdigest()
        return Outcome(image_id, "", {}, {"photograph": content}, {}, 448, 448, 1, content[:32], (1,) * 14)


def write_manifest(root: Path, dataset: str, source: Path, download: Download) -> Path:
    settings, path = PrepSettings(workspace=root, dataset=dataset), Workspace(root).manifest(dataset)
    found = sort_out(settings, Path(), download, MadeUp())
    manifest.write(path, rows_of(settings, source, download, found, MadeUp()), {})
    return path


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
    both = {"odir": odir.read(tmp_path / "odir"), "eyepacs": eyepacs.read(tmp_path / "eyepacs")}
    assert [dict(download.labelled) for download in both.values()] == [odir.PUBLISHED, eyepacs.PUBLISHED]
    assert {problem.problem for download in both.values() for problem in download.problems} == {"dropped"}
    frames = [
        manifest.read(write_manifest(tmp_path / "work", dataset, tmp_path / dataset, download))
        for dataset, download in both.items()
    ]
    assert [len(frame) for frame in frames] == [9_992, 88_702] and sum(map(len, frames)) == 98_702 - 8
    assert [frame["split"].value_counts().to_dict() for frame in frames] == [
        {"train": 6996, "test": 1998, "val": 998},
        eyepacs.PUBLISHED,
    ]
    assert all(frame["image_id"].is_unique and frame["group_id"].equals(frame["patient_id"]) for frame in frames)
