"""The tasks beside grades and vessels: glaucoma, disc and cup, and people's own photographs; a planted signal each."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swcl_cli.data import manifest
from swcl_cli.steps import finetune
from swcl_cli.workspace import Workspace
from tests import prepared
from tests.folders import contents
from tests.planted import DRIVE, REFUGE_CLS, REFUGE_SEG, options, write_drive, write_refuge_cls, write_refuge_seg


@pytest.fixture(scope="module")
def refuge_cls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("refuge-cls")
    write_refuge_cls(root)
    finetune.run(options(root, REFUGE_CLS))
    return root


@pytest.fixture(scope="module")
def refuge_seg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("refuge-seg")
    write_refuge_seg(root)
    finetune.run(options(root, REFUGE_SEG))
    return root


def results(root: Path, task: str) -> pd.DataFrame:
    return pd.read_parquet(Workspace(root).finetune(task, "random") / "seed0/results.parquet")


def measured(root: Path, task: str, split: str = "test") -> dict[str, float]:
    table = results(root, task)
    return dict(table[table["split"] == split].set_index("measure")["value"])


def test_planted_glaucoma_is_found(refuge_cls: Path) -> None:
    found = measured(refuge_cls, "refuge-cls")
    assert found["auc"] > 0.95 and found["sensitivity_at_90"] > 0.7 and found["specificity_at_90"] > 0.7


def test_planted_discs_and_cups_are_found(refuge_seg: Path) -> None:
    found = measured(refuge_seg, "refuge-seg")
    assert found["disc_f1"] > 0.85 and found["cup_f1"] > 0.7 and found["cup_to_disc_error"] < 0.2
    assert found["f1"] == pytest.approx((found["disc_f1"] + found["cup_f1"]) / 2)


@pytest.mark.parametrize("task", ["refuge-cls", "refuge-seg"])
def test_numbers_lie_in_their_intervals(task: str, request: pytest.FixtureRequest) -> None:
    table = results(request.getfixturevalue(task.replace("-", "_")), task)
    on_test = table[(table["split"] == "test") & ~table["measure"].str.contains("threshold")]
    assert (on_test["low"] <= on_test["value"]).all() and (on_test["value"] <= on_test["high"]).all()


def permute_glaucoma(root: Path) -> None:
    table = manifest.read(Workspace(root).manifest("refuge-cls"))
    labels = table["glaucoma"].to_numpy(dtype=bool).copy()
    test = (table["split"] == "test").to_numpy()
    labels[test] = np.roll(labels[test], 1)
    prepared.change(root, "refuge-cls", glaucoma=labels)


def test_permuted_test_labels_change_the_test_score_and_no_other_byte(refuge_cls: Path, tmp_path: Path) -> None:
    """Of the files that know the labels, the model only names the manifest's fingerprint."""
    task, root = "refuge-cls", refuge_cls
    shutil.copytree(root / "data", tmp_path / "data")
    permute_glaucoma(tmp_path)
    finetune.run(options(tmp_path, REFUGE_CLS))
    assert measured(tmp_path, task, "val") == measured(root, task, "val")
    assert measured(tmp_path, task)["auc"] < measured(root, task)["auc"] - 0.05
    folders = [Workspace(one).finetune(task, "random") / "seed0" for one in (root, tmp_path)]
    first, second = map(contents, folders)
    assert {name for name in first if first[name] != second[name]} == {
        "results.parquet",
        "predictions.parquet",
        "model.safetensors",
    }
    assert weights(first["model.safetensors"]) == weights(second["model.safetensors"])
    tables = [pd.read_parquet(folder / "predictions.parquet") for folder in folders]
    probabilities, expected = (np.stack(table["probabilities"].to_list()) for table in tables)
    np.testing.assert_array_equal(probabilities, expected)
    assert tables[0].drop(columns=["truth", "probabilities"]).equals(tables[1].drop(columns=["truth", "probabilities"]))


def weights(file: bytes) -> bytes:
    """What lies behind the header of a safetensors file."""
    return file[8 + int.from_bytes(file[:8], "little") :]


def test_masks_of_ones_own(tmp_path: Path) -> None:
    """A prepared set is learnt by what it holds, here masks; the task is named after it."""
    write_drive(tmp_path, 5)
    settings = options(tmp_path, {**DRIVE, "task": "folder", "data": "drive"}, epochs=1)
    assert finetune.run(settings) == tmp_path / "finetune/folder-drive/random/results.parquet"
    assert {"f1", "auc", "f1_fov"} < measured(tmp_path, "folder-drive").keys()
    table = pd.read_parquet(tmp_path / "finetune/folder-drive/random/predictions.parquet")
    assert table["structure"].tolist() == ["mask"]
