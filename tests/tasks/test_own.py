"""What is learnt of people's own photographs follows from what their manifest holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swcl_cli.catalogue.labels import Label
from swcl_cli.catalogue.structures import Structures
from swcl_cli.catalogue.tasks import TASKS, Task
from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.own import task_of
from swcl_cli.workspace import Workspace
from tests import prepared


def write(root: Path, dataset: str = "folder", count: int = 3, own: tuple[Label, ...] = (), **columns: Any) -> None:
    """columns: one value for all photographs, or a list with one for each."""
    rows = [
        {
            "image": prepared.photograph(item),
            **{name: value[item] if isinstance(value, list) else value for name, value in columns.items()},
        }
        for item in range(count)
    ]
    prepared.write(root, dataset, rows, own=own)


def found(root: Path, **settings: Any) -> Task:
    return task_of(FinetuneSettings(workspace=root, **{"task": "folder", **settings}), Workspace(root))


@pytest.mark.parametrize(
    ("columns", "heads", "measure"),
    [
        ({"abnormal": True}, {"abnormal": 2}, "auc"),
        ({"glaucoma": False}, {"glaucoma": 2}, "auc"),
        ({"dr_grade": 3}, {"dr_grade": 5}, "accuracy"),
        ({"dr_grade": 3, "dme_grade": 1}, {"dr_grade": 5, "dme_grade": 3}, "joint_accuracy"),
        ({"dr_grade": 3, "abnormal": [True, None, False]}, {"dr_grade": 5}, "accuracy"),
    ],
)
def test_labels_that_all_photographs_have(
    tmp_path: Path, columns: dict[str, Any], heads: dict[str, int], measure: str
) -> None:
    write(tmp_path, **columns)
    task = found(tmp_path)
    assert (task.kind, dict(task.heads), task.measure) == ("classification", heads, measure)
    assert (task.name, task.dataset, task.open) == ("folder", "folder", False)


def test_masks_come_before_labels(tmp_path: Path) -> None:
    write(tmp_path, abnormal=True, mask=np.zeros((64, 64), np.uint8))
    task = found(tmp_path)
    assert (task.kind, dict(task.heads), task.measure) == ("segmentation", {"mask": 2}, "f1")
    assert task.structures == Structures.two_valued("mask")
    assert found(tmp_path, heads=["abnormal"]).heads == {"abnormal": 2}
    assert found(tmp_path, heads=["mask"]) == task


def test_heads_that_are_named(tmp_path: Path) -> None:
    write(tmp_path, dr_grade=1, dme_grade=[0, None, 2], abnormal=True)
    assert found(tmp_path, heads=["dme_grade", "abnormal"]).heads == {"abnormal": 2, "dme_grade": 3}
    with pytest.raises(
        SwclError, match=r"no glaucoma and no mask\. .*: abnormal \(3 of 3\), dr_grade \(3 of 3\), dme_grade \(2 of 3\)"
    ):
        found(tmp_path, heads=["glaucoma", "mask"])


def test_masks_and_labels_are_not_learnt_together(tmp_path: Path) -> None:
    write(tmp_path, abnormal=True, mask=np.zeros((64, 64), np.uint8))
    with pytest.raises(SwclError, match="masks and labels can't be learnt together"):
        found(tmp_path, heads=["mask", "abnormal"])


def test_another_prepared_set_names_the_task(tmp_path: Path) -> None:
    write(tmp_path, "eyepacs", dr_grade=2)
    task = found(tmp_path, data="eyepacs")
    assert (task.name, task.dataset, dict(task.heads)) == ("folder-eyepacs", "eyepacs", {"dr_grade": 5})


def test_nothing_to_learn(tmp_path: Path) -> None:
    write(tmp_path, abnormal=[True, None, None])
    with pytest.raises(SwclError, match=r"nothing to learn: .*abnormal \(1 of 3\).*--labels, --masks"):
        found(tmp_path)
    with pytest.raises(SwclError, match="data/elsewhere/manifest.parquet is missing"):
        found(tmp_path, data="elsewhere")


def test_other_tasks_are_their_rows(tmp_path: Path) -> None:
    assert task_of(FinetuneSettings(workspace=tmp_path, task="drive"), Workspace(tmp_path)) is TASKS["drive"]


OWN = (
    Label("Diagnosis", "classes", "Diagnosis", names=("healthy", "AMD", "DR")),
    Label("stage", "grades", "stage", names=("0", "1", "2")),
    Label("flag", "classes", "flag", names=("no", "yes")),
)


def test_labels_of_peoples_own(tmp_path: Path) -> None:
    """Some photographs may lack them; letters of either case name them."""
    write(tmp_path, own=OWN, Diagnosis=["DR", None, "AMD"], stage="1", flag=[None, None, "yes"], dr_grade=[1, None, 2])
    task = found(tmp_path)
    assert (task.heads, task.measure) == ({"Diagnosis": 3, "stage": 3, "flag": 2}, "joint_accuracy")
    assert task.own == {label.name: label for label in OWN}
    measures = {"diagnosis": "accuracy", "STAGE": "kappa", "flag": "auc"}
    for head, measure in measures.items():
        alone = found(tmp_path, heads=[head])
        assert [name.casefold() for name in alone.heads] == [head.casefold()] and alone.measure == measure
    both = found(tmp_path, heads=["dr_grade", "stage"])
    assert both.heads == {"dr_grade": 5, "stage": 3} and both.own == {"stage": OWN[1]}
    with pytest.raises(SwclError, match=r"holds no other\. .*: dr_grade \(2 of 3\), Diagnosis \(2 of 3\), stage"):
        found(tmp_path, heads=["other"])


def test_a_label_that_no_photograph_has_is_not_learnt(tmp_path: Path) -> None:
    write(tmp_path, own=OWN[:2], Diagnosis=None, stage=["1", "0", None])
    assert found(tmp_path).heads == {"stage": 3}


def test_several_at_once(tmp_path: Path) -> None:
    signs = Label("signs", "several", "signs", names=("AMD", "DR"))
    write(tmp_path, own=(signs, OWN[1]), signs=["AMD;DR", None, ""], stage="1", dr_grade=1)
    assert found(tmp_path).measure == "mean" and found(tmp_path).heads == {"dr_grade": 5, "signs": 2, "stage": 3}
    alone = found(tmp_path, heads=["signs"])
    assert (alone.heads, alone.measure) == ({"signs": 2}, "auc")
    assert found(tmp_path, heads=["stage", "dr_grade"]).measure == "joint_accuracy"


def test_labels_of_patients_beside_those_of_photographs(tmp_path: Path) -> None:
    """There is no photograph for which both are right or wrong."""
    of_patient = [Label(name, "classes", name, of="patient", names=("a", "b")) for name in ("x", "y")]
    write(tmp_path, own=(*of_patient, OWN[1]), x="a", y="b", stage="1")
    assert found(tmp_path).measure == "mean"
    assert found(tmp_path, heads=["x", "y"]).measure == "joint_accuracy"
    assert found(tmp_path, heads=["x"]).measure == "auc"


def test_each_choice_of_labels_is_a_task_of_its_own(tmp_path: Path) -> None:
    odd = [Label(name, "classes", name, names=("a", "b")) for name in ("a/b", "a\\b", "x" * 60, "y" * 60, "z" * 60)]
    first: dict[str, Any] = {label.name: label.names[0] for label in (*OWN, *odd)}
    write(tmp_path, own=(*OWN, *odd), dr_grade=1, **first)
    assert found(tmp_path).name == "folder" and found(tmp_path, heads=["dr_grade"]).name == "folder"
    assert found(tmp_path, heads=["stage", "dr_grade"]).name == "folder,dr_grade,stage"
    names = [found(tmp_path, heads=heads).name for heads in (["a/b"], ["a\\b"], ["x" * 60, "y" * 60, "z" * 60])]
    assert len(set(names)) == 3 and not any({"/", "\\"} & set(name) for name in names)
    assert max(map(len, names)) <= 150
    several = found(tmp_path, heads=["x" * 60, "y" * 60, "z" * 60, "stage"]).name
    assert several != names[2] and several.startswith("folder,stage,xxx")


def test_structures_that_are_chosen_name_the_task(tmp_path: Path) -> None:
    rows = [{"image": prepared.photograph(item), "mask": np.full((64, 64), item, np.uint8)} for item in range(4)]
    prepared.write(tmp_path, "folder", rows, structures=Structures.layered(["artery", "vein"]))
    assert found(tmp_path).name == "folder"
    assert found(tmp_path, heads=["vein"]).name == "folder,vein"
    assert found(tmp_path, heads=["vein", "artery"]).name == "folder,artery,vein"
