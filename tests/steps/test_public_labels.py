"""Labels that public data sets come with, learnt as people's own are: of patients, of several at once, of words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from swcl_cli.catalogue.labels import LABELS, read_label
from swcl_cli.data import manifest
from swcl_cli.datasets.odir import CATEGORIES
from swcl_cli.phantom.layouts.eyepacs import lay_out_eyepacs
from swcl_cli.phantom.layouts.odir import lay_out_odir
from swcl_cli.workspace import Workspace, read_provenance, write_parquet
from tests import downloads, prepared
from tests.commands import Finished, swcl

PATIENTS = 40
PROBE = ("--probe", "--seeds", 1, "--crop", 32, "--architecture", "resnet18", "--workers", 0, "--accelerator", "cpu")


def probe(root: Path, data: str, heads: str, *more: Any) -> Finished:
    return swcl("finetune", "folder", "--workspace", root, "--data", data, "--heads", heads, *PROBE, *more)


@pytest.fixture(scope="module")
def odir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odir")
    list(lay_out_odir(root / "download", root / "lesions", 0, PATIENTS, 64))
    done = swcl("prep", "odir", root / "download", "--workspace", root, "--size", 64, "--workers", 0)
    assert done.code == 0, done.err
    return root


def table_of(root: Path, task: str, name: str) -> pd.DataFrame:
    return pd.read_parquet(root / "finetune" / task / "random-probe" / f"{name}.parquet")


def results(root: Path, task: str, split: str) -> dict[str, float]:
    table = table_of(root, task, "results")
    return dict(table[table["split"] == split].set_index("measure")["value"])


def test_categories_of_patients(odir: Path) -> None:
    """Each patient is scored once, by the mean of both eyes; the truth is the workbook's."""
    done = probe(odir, "odir", "categories")
    assert done.code == 0, done.err
    table = manifest.read(Workspace(odir).manifest("odir"))
    books = [pd.read_excel(path, engine="openpyxl") for path in sorted((odir / "download").glob("*/Annotation/*.xlsx"))]
    book = pd.concat(books).set_index("ID")
    predictions = table_of(odir, "folder-odir,categories", "predictions")
    tested = sorted(table.loc[table["split"] == "test", "patient_id"].unique())
    for head, rows in predictions.groupby("head"):
        sign = str(head).removeprefix("categories: ")
        assert sorted(rows["patient_id"]) == tested
        assert rows["truth"].tolist() == [book[sign][int(patient)] for patient in rows["patient_id"]]
    assert len(predictions["head"].unique()) == 8
    aucs = [
        roc_auc_score(rows["truth"], np.stack(rows["probabilities"].tolist())[:, 1])
        for _, rows in predictions.groupby("head")
        if rows["truth"].nunique() == 2
    ]
    assert results(odir, "folder-odir,categories", "test")["auc"] == pytest.approx(np.mean(aucs))


def test_sex_of_patients(odir: Path) -> None:
    """Words that are stored become classes."""
    done = probe(odir, "odir", "sex")
    assert done.code == 0, done.err
    predictions = table_of(odir, "folder-odir,sex", "predictions")
    table = manifest.read(Workspace(odir).manifest("odir")).set_index("image_id")
    assert predictions["true_class"].tolist() == table["sex"][predictions["image_id"]].tolist()
    assert predictions["patient_id"].is_unique
    score = np.stack(predictions["probabilities"].tolist())[:, 1]
    value = roc_auc_score(predictions["true_class"] == "male", score)
    assert results(odir, "folder-odir,sex", "test")["auc"] == pytest.approx(value)


def test_without_a_choice_it_is_abnormal_alone(odir: Path) -> None:
    """As before there were others."""
    done = swcl("finetune", "folder", "--workspace", odir, "--data", "odir", *PROBE)
    assert done.code == 0, done.err
    assert table_of(odir, "folder-odir", "predictions").get("head").unique().tolist() == ["abnormal"]


def test_words_that_were_learnt_as_classes_are_read_as_such() -> None:
    """By the report, which reads what a fine-tuning says of its labels; a manifest says that they are words."""
    for label in (LABELS["sex"], LABELS["sex"].learnt, LABELS["dr_grade"], CATEGORIES):
        assert read_label(label.described()) == label
    assert LABELS["sex"].learnt.names == ("female", "male") and LABELS["dr_grade"].learnt == LABELS["dr_grade"]


def test_a_permuted_test_label_changes_the_test_score_alone(odir: Path, tmp_path: Path) -> None:
    path = Workspace(odir).manifest("odir")
    probe(odir, "odir", "categories")
    before = {split: results(odir, "folder-odir,categories", split) for split in ("val", "test")}
    original = path.read_bytes()
    try:
        whole = pq.read_table(path)
        frame = whole.to_pandas()
        tested = np.flatnonzero(frame["split"] == "test")
        values = frame["categories"].tolist()
        for place, value in zip(tested, [values[place] for place in np.roll(tested, 6)], strict=True):
            values[place] = value
        place = whole.schema.get_field_index("categories")
        write_parquet(path, whole.set_column(place, whole.schema.field("categories"), [values]), read_provenance(path))
        done = probe(odir, "odir", "categories", "--name", "permuted")
        assert done.code == 0, done.err
        table = pd.read_parquet(odir / "finetune/folder-odir,categories/permuted/results.parquet")
        after = {split: dict(part.set_index("measure")["value"]) for split, part in table.groupby("split")}
    finally:
        path.write_bytes(original)
    assert after["val"] == pytest.approx(before["val"], nan_ok=True)
    assert after["test"]["auc"] != before["test"]["auc"]


def test_an_older_preparation_is_told(tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 8, sex="female")
    done = probe(tmp_path, "odir", "categories")
    assert done.code == 1
    assert (
        "data/odir/manifest.parquet was prepared by an earlier version, which did not read categories: run "
        "`swcl prep odir SOURCE` again." in done.err
    )
    done = swcl("finetune", "folder", "--workspace", tmp_path, "--data", "odir", *PROBE)
    assert done.code == 0, done.err


def test_grades_of_eyepacs_without_a_validation_split(tmp_path: Path) -> None:
    """A fifth of the patients of train becomes it, and this is told; no patient is parted."""
    list(lay_out_eyepacs(tmp_path / "download", tmp_path / "lesions", 0, 20, 64))
    frame = pd.read_csv(tmp_path / "download/retinopathy_solution.csv")
    swcl("prep", "eyepacs", tmp_path / "download", "--workspace", tmp_path, "--size", 64, "--workers", 0)
    done = probe(tmp_path, "eyepacs", "dr_grade")
    assert done.code == 0, done.err
    assert "eyepacs has no validation split: a fifth of the patients of train becomes it." in " ".join(done.err.split())
    predictions = table_of(tmp_path, "folder-eyepacs", "predictions")
    assert set(predictions["image_id"]) == set(frame["image"])
    value = results(tmp_path, "folder-eyepacs", "test")["accuracy"]
    assert value == pytest.approx((predictions["truth"] == predictions["prediction"]).mean())


def test_messidor_by_folds(tmp_path: Path) -> None:
    names = {base: [f"{base}-{item}" for item in range(10)] for base in ("Base11", "Base12")}
    downloads.messidor(tmp_path / "download", names)
    done = swcl("prep", "messidor", tmp_path / "download", "--workspace", tmp_path, "--size", 64, "--workers", 0)
    assert done.code == 0, done.err
    done = swcl("finetune", "folder", "--workspace", tmp_path, "--data", "messidor", *PROBE, "--folds", 3)
    assert done.code == 0, done.err
    heads = table_of(tmp_path, "folder-messidor", "predictions")["head"].value_counts()
    assert heads.to_dict() == {"dr_grade": 20, "dme_grade": 20}
