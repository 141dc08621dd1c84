"""`swcl audit` of real photographs: IDRiD's copies and repeated visits, by the names of its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from swcl_cli.data.columns import AUDIT
from swcl_cli.data.stored import read_columns
from swcl_cli.datasets.idrid_seg import SOURCE as IDRID_SEG
from swcl_cli.settings import AuditSettings, PrepSettings
from swcl_cli.steps import audit, prep
from tests.steps.test_audit import kinds

SHARED = Path(__file__).parents[3] / "shared/data"
GRADING = SHARED / "IDRiD/B. Disease Grading/1. Original Images"
SEGMENTATION = SHARED / "IDRiD-seg/1. Original Images/a. Training Set"
FOLDERS = {"train": GRADING / "a. Training Set", "test": GRADING / "b. Testing Set"}
TWICE = "train_021 train_391, train_028 train_327, train_045 train_333, train_073 train_375, train_079 train_279"
PARTED = ("test_064", "train_118")
ANOTHER = {"train_013": "train_397"}  # the same eye, looked at
VISITS = {"11", "25", "26", "39"}  # of the segmentation: another photograph of the eye that was graded
OTHERS = [f"train_{number:03d}" for number in (1, 5, 40, 45, 50, 66, 70, 104, 124, 129, 154, 171, 305, 395, 401)]


def prepare(root: Path, name: str, files: dict[str, Path]) -> None:
    for image_id, path in files.items():
        (root / name).mkdir(exist_ok=True)
        shutil.copy(path, root / name / f"{image_id}.jpg")
    prep.run(PrepSettings(workspace=root, dataset="folder", source=root / name, name=name, size=192, workers=0))


def file_of(graded: str) -> Path:
    split, _, number = graded.partition("_")
    return FOLDERS[split] / f"IDRiD_{number}.jpg"


@pytest.mark.skipif(not SHARED.is_dir(), reason="real photographs are not here (../shared/data)")
def test_idrid(tmp_path: Path) -> None:
    """Six pairs in its grading, three test photographs and one more in its segmentation, five repeated visits."""
    twice = [tuple(pair.split()) for pair in TWICE.split(", ")]
    shared = {own: other for of_split in IDRID_SEG.shared["idrid"].values() for own, other in of_split.items()}
    chosen = {own: shared[own] for own in (f"IDRiD_{number}" for number in ("09", "22", "31", "01", *sorted(VISITS)))}
    graded = {other.replace("IDRiD_", "") for other in chosen.values()}
    graded |= {name for pair in (*twice, PARTED, *ANOTHER.items()) for name in pair} | set(OTHERS)
    prepare(tmp_path, "grading", {name: file_of(name) for name in sorted(graded)})
    prepare(tmp_path, "segmentation", {own: SEGMENTATION / f"{own}.jpg" for own in chosen})
    path = audit.run(AuditSettings(workspace=tmp_path, workers=0))
    wanted = {tuple(sorted(pair)): "copy" for pair in (*twice, PARTED)} | dict.fromkeys(ANOTHER.items(), "visit")
    wanted |= {
        (other.replace("IDRiD_", ""), own): "visit" if own[-2:] in VISITS else "copy" for own, other in chosen.items()
    }
    assert kinds(read_columns(path, AUDIT).to_pandas()) == wanted
