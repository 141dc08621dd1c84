"""The labeler and retinal-SWAP on people's own photographs: any label says which are normal."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from swcl_cli.catalogue.labels import Label
from swcl_cli.data import manifest
from swcl_cli.data.normality import read_normality
from swcl_cli.workspace import Workspace, read_provenance, write_parquet
from tests import own_eyes, prepared
from tests.commands import swcl

PATIENTS = 12
SMALL = (
    *("--architecture", "resnet18", "--crop", 32, "--views", 2, "--batch-labelled", 4, "--batch-unlabelled", 2),
    *("--accumulate", 1, "--epochs", 1, "--milestones", "", "--workers", 0, "--accelerator", "cpu"),
)
ABSENT = (3, 8)  # rows without a diagnosis


@pytest.fixture(scope="module")
def clinics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clinics: one with labels, of the other's photographs neither labels nor sides are known."""
    root = tmp_path_factory.mktemp("clinics")
    own_eyes.clinic(root / "a", 0, PATIENTS, "a.csv", ABSENT)
    own_eyes.clinic(root / "b", 1, 4, "b.csv")
    prep = ("prep", "folder", "--workspace", root, "--size", 64, "--workers", 0)
    for words in (
        (
            root / "a",
            "--labels",
            root / "a.csv",
            "--name",
            "clinic-a",
            "--label",
            "outcome=classes/patient",
            "--label",
            "signs=several:DR,other",
        ),
        (root / "b", "--name", "clinic-b", "--name-pattern", r"(?P<patient>P\d+)"),
    ):
        done = swcl(*prep, *words)
        assert done.code == 0, done.err
    return root


def rows(root: Path) -> list[dict[str, str]]:
    with open(root / "a.csv", encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def train(root: Path, labelled: str, normal: str | None, *more: Any) -> Any:
    words = ("--labelled", labelled, *(("--normal", normal) if normal is not None else ()))
    unlabelled = "clinic-a" if labelled.startswith("clinic-b") else "clinic-b"
    return swcl("train-labeler", "--workspace", root, *words, "--unlabelled", unlabelled, *SMALL, *more)


@pytest.mark.parametrize(
    ("label", "normal", "healthy"),
    [
        ("diagnosis", "healthy", lambda row: row["diagnosis"] == "healthy"),
        ("diagnosis", "Healthy,other", lambda row: row["diagnosis"] in ("healthy", "other")),
        ("stage", "0", lambda row: row["stage"] == "0"),
        ("stage", "0,1", lambda row: row["stage"] in "01"),
        ("signs", None, lambda row: row["signs"] == "none"),
        ("signs", "other", lambda row: "DR" not in row["signs"]),
        ("outcome", "well", lambda row: row["outcome"] == "well"),
    ],
)
def test_any_label_says_which_photographs_are_normal(clinics: Path, label: str, normal: str, healthy: Any) -> None:
    """By the rows of people's own table."""
    told = read_normality(Workspace(clinics), [f"clinic-a:{label}"], normal.split(",") if normal else [], ["image_id"])
    table = told["clinic-a"].table
    expected = {
        row["image"].removesuffix(".jpg"): None if row[label] == "" else not healthy(row) for row in rows(clinics)
    }
    found = {
        name: None if pd.isna(value) else value
        for name, value in zip(table["image_id"], table["abnormal"], strict=True)
    }
    assert found == expected and {True, False} <= set(found.values())


def test_public_grades_by_their_numbers(tmp_path: Path) -> None:
    prepared.write(
        tmp_path,
        "eyepacs",
        [{"image": prepared.photograph(item), "dr_grade": grade} for item, grade in enumerate((0, 1, 4, None))],
    )
    for normal, expected in ((["0"], [False, True, True, None]), (["0", "1"], [False, False, True, None])):
        table = read_normality(Workspace(tmp_path), ["eyepacs:dr_grade"], normal, [])["eyepacs"].table
        assert [None if pd.isna(value) else value for value in table["abnormal"]] == expected


def test_labeler_and_swap(clinics: Path, tmp_path: Path) -> None:
    """From the command line: what trained is told, photographs without the label are left out and counted, normal
    ones score 0, those of unknown sides are told, and a pretraining takes the patches.
    """
    done = train(clinics, "clinic-a:diagnosis", "healthy")
    assert done.code == 0, done.err
    table = manifest.read(Workspace(clinics).manifest("clinic-a"))
    known = table[table["diagnosis"].notna()]
    train_count, val_count = ((known["split"] == split).sum() for split in ("train", "val"))
    assert f"{train_count} labelled, 8 unlabelled, {val_count} validation photographs" in done.out
    assert f"clinic-a: {len(ABSENT)} of {2 * PATIENTS} photographs have no diagnosis." in done.err
    made = read_provenance(Workspace(clinics).labeler)
    assert (made["settings"]["labelled"], made["settings"]["normal"]) == (["clinic-a:diagnosis"], ["healthy"])
    assert made["inputs"].keys() == {"clinic-a", "clinic-b"}
    truths = {row["image_id"]: row["truth"] for row in pq.read_table(Workspace(clinics).labeler_scores).to_pylist()}
    wanted = known[known["split"] == "val"].set_index("image_id")["diagnosis"]
    assert truths == {name: value != "healthy" for name, value in wanted.items()}

    done = swcl("make-swap", "--workspace", clinics, "--workers", 0, "--accelerator", "cpu")
    assert done.code == 0, done.err
    assert "clinic-b: of 8 of 8 photographs the side is not known." in done.err and "clinic-a: of" not in done.err
    assert "swcl audit sees it, then give --align. The column eye of --labels, or --name-pattern, tells it." in done.err
    made = read_provenance(Workspace(clinics).swap)["settings"]
    assert [made[name] for name in ("labelled", "unlabelled", "normal")] == [
        ["clinic-a:diagnosis"], ["clinic-b"], ["healthy"],
    ]  # fmt: skip
    patches = pd.read_parquet(Workspace(clinics).swap)
    assert len(patches) == 5 * (2 * PATIENTS + 8)
    diagnosis = table.set_index("image_id")["diagnosis"].fillna("nobody knows")
    for name, part in patches[patches["dataset"] == "clinic-a"].groupby("image_id"):
        assert ((part["score"] == 0).all()) == (diagnosis[name] == "healthy")
        assert part["image_abnormal"].isna().all() == (diagnosis[name] == "nobody knows")
    of_b = patches[patches["dataset"] == "clinic-b"]
    assert of_b["image_abnormal"].isna().all() and of_b["single"].all() and not of_b["mirrored"].any()
    assert not patches.loc[patches["dataset"] == "clinic-a", "single"].any()
    done = swcl(
        "pretrain", "--workspace", clinics, "--architecture", "resnet18", "--epochs", 1, "--warmup-epochs", 0,
        "--batch-patches", 40, "--probe-every", 0, "--workers", 0, "--accelerator", "cpu",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = swcl("report", "--workspace", clinics, "--no-images")
    assert report.code == 0, report.err
    table = (clinics / "report/tables/labeler.md").read_text(encoding="utf-8")
    assert "Labels: clinic-a:diagnosis; normal: healthy." in table and "The paper reports" not in table


def test_a_label_and_abnormal_of_the_same_values_train_the_same_labeler(tmp_path: Path) -> None:
    """To the byte, but for what provenance says; a label permuted gives another one."""
    weights = []
    for folder in ("abnormal", "own", "permuted"):
        root = tmp_path / folder
        eyes = prepared.labelled_eyes(root, "odir", 8)
        path = Workspace(root).manifest("odir")
        own = Label("finding", "classes", "finding", names=("none", "some"))
        values = np.where(eyes["abnormal"].to_numpy(dtype=bool), "some", "none")
        values = np.roll(values, 1) if folder == "permuted" else values
        if folder != "abnormal":
            changed = prepared.manifest_rows(eyes.assign(abnormal=None, finding=values))
            manifest.write(path, changed, read_provenance(path), own=[own])
        named = ("--labelled", "odir:finding", "--normal", "none") if folder != "abnormal" else ("--labelled", "odir")
        done = swcl("train-labeler", "--workspace", root, *named, "--unlabelled", "", *SMALL)
        assert done.code == 0, done.err
        weights.append(load_file(Workspace(root).labeler))
    same = [all(torch.equal(weights[0][key], other[key]) for key in other) for other in weights[1:]]
    assert same == [True, False]


def test_labels_of_patients_are_told(clinics: Path, tmp_path: Path) -> None:
    done = train(clinics, "clinic-a:outcome", "well", "--fresh")
    assert done.code == 0, done.err
    assert "clinic-a: outcome is of patients: a normal eye of an abnormal patient counts as abnormal." in done.err


@pytest.mark.parametrize(
    ("labelled", "normal", "code", "message"),
    [
        ("clinic-c:diagnosis", "healthy", 1, "data/clinic-c/manifest.parquet is missing. Make it with: swcl prep"),
        ("clinic-a:diagnoses", "healthy", 1, "clinic-a has no label 'diagnoses': did you mean 'diagnosis'?"),
        ("clinic-a:acuity", "healthy", 1, "no label 'acuity': valid: diagnosis, one_class, outcome, signs, stage."),
        ("clinic-b:diagnosis", "healthy", 1, "clinic-b has no label with classes. Labels come from swcl prep folder"),
        ("clinic-a:diagnosis", "helthy", 2, "--normal 'helthy' is no class of diagnosis: did you mean 'healthy'?"),
        ("clinic-a:stage", "5", 2, "--normal '5' is no class of stage: valid: 0, 1, 2, 3, 4."),
        ("clinic-a:diagnosis", None, 2, "--normal: it says which classes are normal, of clinic-a's diagnosis: "
         "healthy, DR, other."),
        ("clinic-a:diagnosis,clinic-a:stage", "healthy,0", 1, "A data set is named twice"),
        ("clinic-a:diagnosis", "healthy,DR,other", 1, "photographs of clinic-a:diagnosis are all normal; normal and "),
        ("clinic-a", None, 1, "clinic-a has no normal/abnormal labels; name a data set that has: --labelled odir, or a "
         "label that it has: --labelled clinic-a:diagnosis --normal CLASS"),
        ("clinic-a", "healthy", 2, "normal: it says which classes of a label are normal: name one, --labelled NAME:"),
        ("clinic-a:", "healthy", 2, "'clinic-a:' names no label behind its colon"),
    ],
)  # fmt: skip
def test_what_can_t_be_learnt_is_said(clinics: Path, labelled: str, normal: str, code: int, message: str) -> None:
    done = train(clinics, labelled, normal, "--fresh")
    assert (done.code, message in " ".join(done.err.split())) == (code, True), done.err


def test_older_manifests_and_labelers_are_read(tmp_path: Path) -> None:
    """A labeler that does not tell `normal` is of `abnormal`."""
    prepared.labelled_eyes(tmp_path, "odir", 4)
    prepared.labeler(tmp_path, ["odir"], [])
    done = swcl("make-swap", "--workspace", tmp_path, "--workers", 0, "--accelerator", "cpu")
    assert done.code == 0, done.err
    path = Workspace(tmp_path).swap
    made = read_provenance(path)
    assert made["settings"].pop("normal") == []
    write_parquet(path, pq.read_table(path), made)
    done = swcl("make-swap", "--workspace", tmp_path, "--workers", 0, "--accelerator", "cpu")
    assert "retinal-SWAP is already made with these settings and data." in done.out
