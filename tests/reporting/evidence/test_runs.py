"""Which training each folder under runs/ belongs to."""

from __future__ import annotations

from pathlib import Path

from swcl_cli.reporting.evidence.runs import FINETUNE, LABELER, PRETRAIN, Training, training_folders
from swcl_cli.workspace import Workspace


def _trainings(root: Path, *folders: str) -> list[Training]:
    workspace = Workspace(root)
    for folder in folders:
        workspace.run(folder).mkdir(parents=True)
    assert {path.name for path in training_folders(workspace).values()} == set(folders)
    return list(training_folders(workspace))


def test_each_step_has_its_parts(tmp_path: Path) -> None:
    assert _trainings(tmp_path, "train-labeler", "pretrain-swcl-image", "make-swap") == [
        Training("make-swap"),
        Training(PRETRAIN, name="swcl-image"),
        Training(LABELER),
    ]


def test_names_with_dashes_are_told_apart_by_the_folders_of_results(tmp_path: Path) -> None:
    for task, name in (("refuge-cls", "swcl"), ("refuge-cls", "swcl-image")):
        (tmp_path / "finetune" / task / name).mkdir(parents=True)
    runs = ("finetune-refuge-cls-swcl-fold1-seed0", "finetune-refuge-cls-swcl-image-seed2")
    assert _trainings(tmp_path, *runs) == [
        Training(FINETUNE, "refuge-cls", "swcl", "fold1-seed0"),
        Training(FINETUNE, "refuge-cls", "swcl-image", "seed2"),
    ]


def test_without_a_folder_of_results_the_task_is_not_known(tmp_path: Path) -> None:
    assert _trainings(tmp_path, "finetune-idrid-dino-seed0") == [Training(FINETUNE, name="idrid-dino-seed0")]
