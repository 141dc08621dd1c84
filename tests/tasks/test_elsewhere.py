"""What another data set says of a model's labels: matched by names, and of grades by their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from safetensors.torch import load_file

from swcl_cli.catalogue.labels import Label
from swcl_cli.data import manifest
from swcl_cli.predicting.overlap import pretrained_on, without_trained
from swcl_cli.tasks.elsewhere import SPLIT, Elsewhere, task_elsewhere
from swcl_cli.tasks.saved import Description
from swcl_cli.workspace import Workspace, fingerprint, write_parquet, write_safetensors
from tests import prepared
from tests.reporting import golden


def described(task: str, heads: dict[str, int], **facts: Any) -> Description:
    return Description(
        task, "classification", heads, 32, "resnet18", (0, 0, 0), (1, 1, 1), "fp32", 64, False, False, False, (64, 64),
        {"grades": {}, **facts},
    )  # fmt: skip


def matched(root: Path, model: Description, own: tuple[Label, ...] = (), **columns: list[Any]) -> Elsewhere:
    count = len(next(iter(columns.values())))
    rows = [
        {"image": prepared.photograph(item), **{name: values[item] for name, values in columns.items()}}
        for item in range(count)
    ]
    prepared.write(root, "there", rows, own=own)
    return task_elsewhere(model, "there", manifest.read(Workspace(root).manifest("there")), Workspace(root))


def values(found: Elsewhere, head: str) -> list[Any]:
    assert found.study is not None
    return [None if pd.isna(value) else value for value in found.study.rows[SPLIT][head]]


def test_grades_of_public_sets_by_their_numbers(tmp_path: Path) -> None:
    found = matched(tmp_path, described("folder-eyepacs", {"dr_grade": 5}), dr_grade=[0, 4, 2, None])
    assert values(found, "dr_grade") == ["0", "4", "2", None]
    assert found.study is not None and found.study.task.measure == "accuracy"  # as of the model on its own set
    assert found.remarks == ("there: 1 of 4 photographs have no dr_grade: not scored.",)


def test_joined_grades(tmp_path: Path) -> None:
    """Messidor's model joins grades 0 and 1, 2 and 3; it knows no grade 4."""
    model = described("messidor", {"dr_grade": 2, "dme_grade": 3}, grades={"dr_grade": [0, 0, 1, 1]})
    found = matched(tmp_path, model, dr_grade=[0, 1, 2, 3, 4], dme_grade=[0, 1, 2, 0, 1])
    assert values(found, "dr_grade") == ["0 or 1", "0 or 1", "2 or 3", "2 or 3", None]
    assert values(found, "dme_grade") == ["0", "1", "2", "0", "1"]
    assert found.study is not None and found.study.task.measure == "joint_accuracy"
    (told,) = found.remarks
    assert "1 photographs have classes of dr_grade that the model never learnt, '4' (1)" in told


def test_some_of_the_labels_are_enough(tmp_path: Path) -> None:
    found = matched(tmp_path, described("idrid", {"dr_grade": 5, "dme_grade": 3}), dr_grade=[0, 1])
    assert found.study is not None and list(found.study.task.heads) == ["dr_grade"]


def test_words_and_numbers_of_patients(tmp_path: Path) -> None:
    facts = {"classes": {"sex": ["female", "male"]}, "of_patients": ["sex", "age"], "numbers": {"age": [50.0, 10.0]}}
    found = matched(tmp_path, described("folder-odir", {"sex": 2, "age": 1}, **facts), sex=["male", None], age=[60, 41])
    assert values(found, "sex") == ["male", None] and values(found, "age") == [60, 41]
    assert found.study is not None
    assert {label.of for label in found.study.task.own.values()} == {"patient"}
    assert found.study.task.numbers == ["age"]


def test_signs_in_the_order_of_the_model(tmp_path: Path) -> None:
    """Signs that it never learnt are told; of one that the data set does not know nothing can be scored."""
    model = described(
        "folder-x", {"signs": 2}, classes={"signs": ["DR", "AMD"]}, several=["signs"], thresholds={"signs": [0.3, 0.4]}
    )
    own = Label("Signs", "several", "Signs", names=("amd", "dr", "scar"))
    found = matched(tmp_path, model, (own,), Signs=["amd;dr", "scar", "", None])
    assert values(found, "signs") == ["DR;AMD", "", "", None]
    assert found.study is not None and found.study.thresholds is not None
    np.testing.assert_allclose(found.study.thresholds["signs"], [0.3, 0.4])
    assert any("the model never learnt 'scar' of Signs" in told for told in found.remarks)
    lacking = Label("signs", "several", "signs", names=("dr", "scar"))
    found = matched(tmp_path / "lacking", model, (lacking,), signs=["dr", "scar"])
    assert found.study is None and "does not say 'AMD', which the model tells" in found.remarks[0]


def trained(root: Path, name: str) -> dict[Path, dict[str, Any]]:
    prints = {name: fingerprint(Workspace(root).manifest(name))}
    return {root / "model": {"settings": {"task": "folder", "data": name}, "inputs": prints}}


@pytest.mark.parametrize(
    ("here", "there", "left"), [("eyepacs", "odir", 3), ("clinic-a", "clinic-b", 1), ("odir", "folder", 3)]
)
def test_equal_ids_are_one_person_in_sets_of_one_s_own_alone(tmp_path: Path, here: str, there: str, left: int) -> None:
    for first, name in ((0, here), (10, there)):
        rows = [
            {"image": prepared.photograph(first + item), "patient_id": f"{item + first // 10}"} for item in range(3)
        ]
        prepared.write(tmp_path, name, rows)
        prepared.change(tmp_path, name, source_hash=[f"{name}{item}" for item in range(3)])
    table = manifest.read(Workspace(tmp_path).manifest(there))
    kept, sentences = without_trained(table, there, trained(tmp_path, here), Workspace(tmp_path), "shared")
    assert len(kept) == left and bool(sentences) == (left < 3)
    assert len(without_trained(table, there, trained(tmp_path, here), Workspace(tmp_path), "apart")[0]) == 3


def test_photographs_that_public_sets_are_known_to_share(tmp_path: Path) -> None:
    """IDRiD's segmentation 09 is 091 of its grading's test part, under other pixels."""
    from swcl_cli.datasets import DATASETS

    pairs = {own: theirs for of in DATASETS["idrid-seg"].shared["idrid"].values() for own, theirs in of.items()}
    own, theirs = next(iter(pairs.items()))
    for first, name, known in ((0, "idrid", theirs), (10, "idrid-seg", own)):
        rows = [
            {"image": prepared.photograph(first + item), "image_id": image}
            for item, image in enumerate((known, "other"))
        ]
        prepared.write(tmp_path, name, [{**row, "patient_id": row["image_id"]} for row in rows])
        prepared.change(tmp_path, name, source_hash=[f"{name}{item}" for item in range(2)])
    for here, there in (("idrid", "idrid-seg"), ("idrid-seg", "idrid")):
        table = manifest.read(Workspace(tmp_path).manifest(there))
        models = trained(tmp_path, here)
        kept, (told,) = without_trained(table, there, models, Workspace(tmp_path), "shared")
        assert kept["image_id"].tolist() == ["other"] and "1 of 2 photographs" in told


def test_copies_of_photographs_that_trained_by_the_audit(tmp_path: Path) -> None:
    """Whatever was done to them; a repeated visit and a copy in a third set are none."""
    workspace = Workspace(tmp_path)
    for first, name in ((0, "here"), (10, "there"), (20, "third")):
        rows = [
            {"image": prepared.photograph(first + item), "patient_id": f"{name}{item}", "image_id": f"{name}{item}"}
            for item in range(4)
        ]
        prepared.write(tmp_path, name, rows)
        prepared.change(tmp_path, name, source_hash=[f"{name}{item}" for item in range(4)])
    table, models = manifest.read(workspace.manifest("there")), trained(tmp_path, "here")
    assert len(without_trained(table, "there", models, workspace, "apart")[0]) == 4
    pairs: list[dict[str, Any]] = [
        {"one": ("here", 0), "other": ("there", 1)},
        {"one": ("there", 3), "other": ("here", 2)},
        {"one": ("here", 1), "other": ("there", 0), "kind": "visit"},
        {"one": ("there", 2), "other": ("third", 0)},
    ]
    golden.add_audit(workspace, pairs)
    kept, (told,) = without_trained(table, "there", models, workspace, "apart")
    assert kept["image_id"].tolist() == ["there0", "there2"] and "2 of 4 photographs of there are left out" in told
    prepared.change(tmp_path, "there", eye=["unknown"] * 4)
    kept, (told,) = without_trained(manifest.read(workspace.manifest("there")), "there", models, workspace, "apart")
    assert len(kept) == 4 and told.endswith("knows nothing of there as prepared now; renew it with: swcl audit.")


def test_a_training_set_that_is_not_here_is_told(tmp_path: Path) -> None:
    prepared.write(tmp_path, "there", [{"image": prepared.photograph(0)}])
    table = manifest.read(Workspace(tmp_path).manifest("there"))
    models = {tmp_path / "model": {"settings": {"task": "folder", "data": "gone"}, "inputs": {"gone": "0"}}}
    kept, (told,) = without_trained(table, "there", models, Workspace(tmp_path), "shared")
    assert len(kept) == 1 and told.startswith("gone, which trained, is not in this workspace as it was then")


def test_what_the_encoder_was_pretrained_on_is_told(tmp_path: Path) -> None:
    """By the encoder's own inputs, and through retinal-SWAP by those that it was made of."""
    prepared.encoder(tmp_path / "swcl.safetensors", "resnet18", seed=0)
    path = tmp_path / "swcl.safetensors"
    workspace = Workspace(tmp_path)
    for inputs in ({"odir": "0"}, {"swap": "1"}):
        write_safetensors(path, load_file(path), {"step": "pretrain", "settings": {}, "inputs": inputs})
        models = {tmp_path / "model": {"inputs": {"init": fingerprint(path), "eyepacs": "2"}}}
        if "swap" in inputs:
            assert pretrained_on("odir", models, workspace) == []
            made = {"step": "make-swap", "settings": {}, "inputs": {"labeler": "3", "odir": "4"}}
            write_parquet(workspace.swap, pa.table({"path": ["a"]}), made)
        (told,) = pretrained_on("odir", models, workspace)
        assert told.startswith("The encoder was pretrained on photographs of odir") and not pretrained_on(
            "idrid", models, workspace
        )
    assert pretrained_on("odir", {tmp_path / "model": {"inputs": {"init": "other"}}}, workspace) == []
