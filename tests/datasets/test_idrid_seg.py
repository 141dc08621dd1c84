"""IDRiD's segmentation: layout, absent lesions, prepared masks, and the photographs that it shares with the grading."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swcl_cli.data import manifest, shared
from swcl_cli.datasets import idrid, idrid_seg
from swcl_cli.datasets.download import Download
from swcl_cli.errors import SwclError
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
from swcl_cli.workspace import Workspace, read_provenance
from tests import downloads, prepared

SHARED = Path(__file__).parents[3] / "shared/data"
TRAINING = "A. Segmentation/1. Original Images/a. Training Set"
MASKS = "A. Segmentation/2. All Segmentation Groundtruths"


def problems(download: Download) -> list[tuple[str, str]]:
    return sorted((problem.source_path, problem.problem) for problem in download.problems)


def test_a_lesion_without_a_file_is_absent(tmp_path: Path) -> None:
    source = downloads.idrid_seg(tmp_path, train=[4, 6], test=[55])
    above, inside = idrid_seg.read(source), idrid_seg.read(source / "A. Segmentation")
    assert [(row.image_id, row.patient_id, row.split) for row in above.photographs] == [
        ("IDRiD_04", "IDRiD_04", "train"), ("IDRiD_06", "IDRiD_06", "train"), ("IDRiD_55", "IDRiD_55", "test"),
    ]  # fmt: skip
    assert [row.image_id for row in inside.photographs] == [row.image_id for row in above.photographs]
    assert above.photographs[0].path == f"{TRAINING}/IDRiD_04.jpg" and not above.problems and above.draw_validation
    folder = f"{MASKS}/a. Training Set"
    assert above.photographs[0].layers == tuple(
        f"{folder}/{part}/IDRiD_04_{ending}.tif" for part, ending in downloads.IDRID_LAYERS
    )
    assert above.photographs[1].layers == (
        f"{folder}/1. Microaneurysms/IDRiD_06_MA.tif", None, None, None, f"{folder}/5. Optic Disc/IDRiD_06_OD.tif",
    )  # fmt: skip


def test_one_part_alone(tmp_path: Path) -> None:
    source = downloads.idrid_seg(tmp_path, train=[1], test=[55])
    for path in source.rglob("b. Testing Set"):
        shutil.rmtree(path)
    download = idrid_seg.read(source)
    assert [row.image_id for row in download.photographs] == ["IDRiD_01"] and not download.problems


def test_what_does_not_fit_together(tmp_path: Path) -> None:
    """A photograph without its disc lacks its masks, whatever else is there; only a test photograph may."""
    source = downloads.idrid_seg(tmp_path, train=[1, 2, 3], test=[55, 57])
    training, testing = source / MASKS / "a. Training Set", source / MASKS / "b. Testing Set"
    (training / "5. Optic Disc/IDRiD_01_OD.tif").unlink()
    (testing / "5. Optic Disc/IDRiD_57_OD.tif").unlink()
    (source / TRAINING / "IDRiD_02.jpg").unlink()
    (source / TRAINING / "notes.txt").touch()
    download = idrid_seg.read(source)
    assert [(row.image_id, len(row.layers)) for row in download.photographs] == [
        ("IDRiD_03", 5), ("IDRiD_55", 5), ("IDRiD_57", 0),
    ]  # fmt: skip
    of_two = [("1. Microaneurysms", "MA"), ("2. Haemorrhages", "HE"), ("5. Optic Disc", "OD")]
    assert problems(download) == sorted(
        [
            (f"{TRAINING}/IDRiD_01.jpg", "image without label"),
            (f"{TRAINING}/notes.txt", "image without label"),
            (f"{TRAINING.replace('a. Training', 'b. Testing')}/IDRiD_57.jpg", "no mask"),
            *((f"{MASKS}/a. Training Set/{part}/IDRiD_02_{end}.tif", "label without image") for part, end in of_two),
        ]
    )


def test_a_folder_that_is_missing_stops(tmp_path: Path) -> None:
    """Else its lesions would count as absent in every photograph."""
    source = downloads.idrid_seg(tmp_path, train=[4], test=[59])
    shutil.rmtree(source / MASKS / "b. Testing Set/4. Soft Exudates")
    with pytest.raises(SwclError, match=r"b\. Testing Set/4\. Soft Exudates is missing\. A lesion without a file"):
        idrid_seg.read(source)


def test_the_grading_is_no_segmentation_and_neither_is_the_other(tmp_path: Path) -> None:
    downloads.idrid(tmp_path / "grading", train=1, test=1)
    downloads.idrid_seg(tmp_path / "masks", train=[1], test=[55])
    with pytest.raises(SwclError, match=r"does not look like a download of IDRiD \(A\. Segmentation\)"):
        idrid_seg.read(tmp_path / "grading")
    both = idrid_seg.read(tmp_path)
    assert both.photographs[0].path.startswith("masks/A. Segmentation/")


def test_prepared_masks_hold_what_the_files_hold(tmp_path: Path) -> None:
    """Bits in the order of the structures; where two overlap both are set."""
    source = downloads.idrid_seg(tmp_path / "source", train=[3, 4, 5, 6, 7], test=[58])
    path = prep.run(PrepSettings(workspace=tmp_path, dataset="idrid-seg", source=source, size=0, workers=0))
    rows = manifest.read(path).set_index("image_id")
    assert rows["split"].value_counts().to_dict() == {"train": 4, "val": 1, "test": 1}
    for image_id, row in rows.iterrows():
        number = int(str(image_id)[-2:])
        expected = np.zeros((100, 120), np.uint8)
        for place in range(5):
            if place < number % 5 or place == 4:
                expected |= np.asarray(downloads.square(place)).astype(np.uint8) << place
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / row["mask_path"])), expected)
    told = manifest.read_structures(path)
    assert told is not None
    assert told.names == ("microaneurysm", "haemorrhage", "hard_exudate", "soft_exudate", "disc") and told.is_layered


def test_a_mask_of_another_size_sets_its_photograph_aside(tmp_path: Path) -> None:
    source = downloads.idrid_seg(tmp_path / "source", train=[1, 2, 3, 4, 5, 6], test=[55])
    downloads.square(1, 130, 110).save(source / MASKS / "a. Training Set/2. Haemorrhages/IDRiD_02_HE.tif")
    path = prep.run(PrepSettings(workspace=tmp_path, dataset="idrid-seg", source=source, size=0, workers=0))
    assert read_provenance(path)["counts"] == {"train": 4, "val": 1, "test": 1, "bad mask": 1}
    assert "haemorrhage: the mask is 130 x 110, its photograph 120 x 100" in Workspace(tmp_path).quarantine(
        "idrid-seg"
    ).read_text()  # fmt: skip


def test_the_photographs_of_both_sets() -> None:
    """Each once on either side, under ids that the readers give; 49 of 54."""
    by_split = idrid_seg.SOURCE.shared["idrid"]
    assert by_split["test"] == {
        "IDRiD_09": "test_IDRiD_091", "IDRiD_22": "test_IDRiD_088", "IDRiD_31": "test_IDRiD_089",
    }  # fmt: skip
    own = [number for pairs in by_split.values() for number in pairs]
    other = [number for pairs in by_split.values() for number in pairs.values()]
    assert len(own) == len(set(own)) == len(set(other)) == 49
    absent = {f"IDRiD_{number:02d}" for number in range(1, 55)} - set(own)
    assert absent == {"IDRiD_04", "IDRiD_12", "IDRiD_30", "IDRiD_32", "IDRiD_45"}
    assert all(1 <= int(name[-3:]) <= (103 if name.startswith("test") else 413) for name in other)


def test_the_ids_are_those_that_the_readers_give(tmp_path: Path) -> None:
    downloads.idrid(tmp_path / "grading", train=1, test=91)
    graded = {photograph.image_id for photograph in idrid.read(tmp_path / "grading").photographs}
    masked = idrid_seg.read(downloads.idrid_seg(tmp_path / "masks", train=[9], test=[55])).photographs[0]
    assert idrid_seg.SOURCE.shared["idrid"]["test"][masked.image_id] in graded


def test_real_photographs_are_the_same_to_the_eye() -> None:
    """Thumbnails of the pairs, where the real photographs lie beside the project."""
    if not (SHARED / "IDRiD-seg").is_dir() or not (SHARED / "IDRiD").is_dir():
        pytest.skip(f"{SHARED} holds no IDRiD-seg and IDRiD")
    masked, graded = (
        {photograph.image_id: source / photograph.path for photograph in read(source).photographs}
        for read, source in ((idrid_seg.read, SHARED / "IDRiD-seg"), (idrid.read, SHARED / "IDRiD"))
    )
    other_shots = {"IDRiD_11", "IDRiD_25", "IDRiD_26", "IDRiD_39"}
    for pairs in idrid_seg.SOURCE.shared["idrid"].values():
        for own, theirs in pairs.items():
            first, second = (thumbnail(path) for path in (masked[own], graded[theirs]))
            likeness = float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
            assert likeness > (0.9 if own in other_shots else 0.995), (own, theirs, likeness)


def thumbnail(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        image.draft("L", (192, 128))
        return np.asarray(image.convert("L").resize((96, 64), Image.Resampling.BILINEAR), np.float64)


def test_what_two_prepared_sets_share_is_told(tmp_path: Path) -> None:
    image = prepared.photograph(0)
    rows = [{"image": image, "image_id": name, "split": split} for name, split in (
        ("IDRiD_01", "train"), ("IDRiD_04", "train"), ("IDRiD_09", "val"), ("IDRiD_55", "test"))]  # fmt: skip
    prepared.write(tmp_path, "idrid-seg", rows)
    assert shared.sentences(Workspace(tmp_path), "idrid-seg") == []
    graded = [("train_IDRiD_102", "val"), ("test_IDRiD_091", "test"), ("test_IDRiD_088", "test")]
    prepared.write(tmp_path, "idrid", [{"image": image, "image_id": name, "split": split} for name, split in graded])
    expected = (
        "2 photographs of idrid-seg are photographs, or of eyes, of idrid: 1 in its val split, 1 in its test split "
        "(IDRiD_09); what learnt or was chosen on the one must not be scored on these in the other."
    )
    for name in ("idrid", "idrid-seg"):
        assert shared.sentences(Workspace(tmp_path), name) == [expected]
    prepared.write(tmp_path, "drive", rows)
    assert shared.sentences(Workspace(tmp_path), "drive") == []
    prepared.write(tmp_path, "idrid", [{"image": image, "image_id": "train_IDRiD_001"}])
    assert shared.sentences(Workspace(tmp_path), "idrid") == []
