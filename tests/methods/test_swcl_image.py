"""SWCL with the labels of whole photographs: which patches, with which ids and pairs."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from swcl_cli.data import manifest
from swcl_cli.errors import SwclError
from swcl_cli.methods import swcl, swcl_image
from swcl_cli.methods.method import Method
from swcl_cli.settings import PretrainSettings
from swcl_cli.swap.rows import patch_rows
from swcl_cli.swap.weak_labels import ABSENT
from swcl_cli.workspace import Workspace, fingerprint
from tests import prepared

GRADES: list[int | None] = [0, 2, 1, None, 0, 0]


def prepare(root: Path, **values: Any) -> Method:
    small = {"workspace": root, "method": "swcl-image", "architecture": "resnet18", "batch_patches": 4}
    return swcl_image.prepare(PretrainSettings(**{**small, **values}), Workspace(root))


def patches(root: Path, grades: list[int | None]) -> pd.DataFrame:
    """Five patches of each of the two patients of odir and three of eyepacs; what their scores say is another matter.

    One eye of the second patient of eyepacs may have no grade. Returns them with the `truth` of their photographs.
    """
    tables = [prepared.labelled_eyes(root, "odir", 2), prepared.labelled_eyes(root, "eyepacs", 3, abnormal=None)]
    prepared.change(root, "eyepacs", dr_grade=grades)
    tables[1] = manifest.read(Workspace(root).manifest("eyepacs"))
    truth = [*tables[0]["abnormal"].tolist(), *(None if grade is None else grade > 0 for grade in grades)]
    table = pd.concat(tables, ignore_index=True)
    unknown = table["dataset"] != "odir"
    table["image_abnormal"] = table["abnormal"].astype(object).where(~unknown, None)
    scores = (table.index.to_numpy()[:, None] + range(5)) % 3 / 3
    rows = patch_rows(table, scores.astype("float32"), 0.4)
    prepared.swap(root, rows)
    return rows.assign(truth=[value for value in truth for _ in range(5)])


@pytest.mark.parametrize("grades", [GRADES, [1, 2, 0, 0, 0, 3]])
def test_labels_and_pairs_by_loops(tmp_path: Path, grades: list[int | None]) -> None:
    rows = patches(tmp_path, grades)
    method: Any = prepare(tmp_path)
    kept = rows[rows["truth"].notna()].reset_index(drop=True)
    found = method.dataset.patches
    assert len(found) == len(kept) == 5 * (10 - grades.count(None))
    assert found.path.to_pylist() == kept["path"].tolist() and found.x.tolist() == kept["x"].tolist()
    assert found.checksum.tolist() == [int(value) for value in kept["checksum"]]
    assert found.abnormal.tolist() == kept["truth"].tolist()
    agree = ["truth", "position", "dataset", "patient_id"]
    for one, other in combinations(range(len(kept)), 2):
        alike = all(kept[name][one] == kept[name][other] for name in agree)
        assert (found.label[one] == found.label[other]) == alike
    singles = {int(row) for pair in found.pairs if ABSENT in pair for row in pair} - {ABSENT}
    partner = {"left": "right", "right": "left"}
    eyes = set(zip(kept["dataset"], kept["patient_id"], kept["eye"], strict=True))
    lonely = [
        row
        for row in range(len(kept))
        if (kept["dataset"][row], kept["patient_id"][row], partner[kept["eye"][row]]) not in eyes
    ]
    assert singles == set(lonely) and len(lonely) == 5 * grades.count(None)


def test_what_it_reads_and_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patches(tmp_path, GRADES)
    method: Any = prepare(tmp_path, labels="abnormality")
    assert "5 of 50 patches are left out: their photographs have no label." in capsys.readouterr().out
    files = {"swap": tmp_path / "swap.parquet", "eyepacs": Workspace(tmp_path).manifest("eyepacs")}
    assert method.inputs == {name: fingerprint(path) for name, path in files.items()}
    assert len(set(method.dataset.patches.label.tolist())) == 2


def test_scores_do_not_matter(tmp_path: Path) -> None:
    """Unlike SWCL's: five patches of a photograph have one abnormality."""
    patches(tmp_path, GRADES)
    by_image: Any = prepare(tmp_path)
    by_score: Any = swcl.prepare(
        PretrainSettings(workspace=tmp_path, architecture="resnet18", batch_patches=4), Workspace(tmp_path)
    )
    for method, kinds in ((by_image, 1), (by_score, 2)):
        found = method.dataset.patches
        abnormal = pd.Series(found.abnormal).groupby(found.path.to_pylist()).nunique()
        assert abnormal.max() == kinds


def test_one_kind_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepared.swap(tmp_path, patches(tmp_path, [0] * 6).drop(columns="truth").assign(image_abnormal=False))
    prepare(tmp_path)
    assert "0 of 50 patches are abnormal by their photographs' labels: the label" in capsys.readouterr().err
    prepare(tmp_path, labels="patient,position")
    assert not capsys.readouterr().err


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="swap.parquet is missing. Make it with: swcl make-swap"):
        prepare(tmp_path)
    rows = patches(tmp_path, [None] * 6).drop(columns="truth")
    prepared.swap(tmp_path, rows[rows["dataset"] == "eyepacs"])
    with pytest.raises(
        SwclError, match="None of the 30 patches .* nor the manifest of eyepacs says which are abnormal"
    ):
        prepare(tmp_path)
    patches(tmp_path, GRADES)
    with pytest.raises(SwclError, match="has 25 pairs, fewer than a batch of 30: lower --batch-patches to at most 50"):
        prepare(tmp_path, batch_patches=60)
