"""The folders below runs/: nested, listed, and taken over from versions that kept them flat."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from swcl_cli.errors import SwclError
from swcl_cli.workspace import RunFolder, RunName, Workspace, grid_points, provenance, write_safetensors, write_text


def _work(task: str, seed: int = 0, step: str = "finetune", **more: Any) -> dict[str, Any]:
    return provenance(step, {"task": task, "seed": seed, **more}, {})


def _begun(folder: Path, work: dict[str, Any] | None = None) -> Path:
    """With a log, and a resume state where `work` is given."""
    write_text(folder / "log.jsonl", '{"step": 0}\n')
    if work:
        write_safetensors(folder / "resume.safetensors", {"weight": torch.zeros(1)}, work)
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def _flat(workspace: Workspace, name: str) -> Path:
    return workspace.root / "runs" / name


def test_all_that_were_begun_are_listed(workspace: Workspace) -> None:
    runs = [
        workspace.labeler_run, workspace.swap_run, workspace.pretraining("swcl"), workspace.pretraining("a b"),
        workspace.finetuning("folder-odir", "swcl", "fold1-seed0"), workspace.finetuning("idrid", "swcl", "seed0"),
    ]  # fmt: skip
    for run in runs:
        _begun(run.folder)
    _begun(workspace.finetuning("idrid", "swcl", "seed0").folder / "lr0.1-wd0.001")
    listed, strays = workspace.run_folders()
    assert strays == [] and sorted(listed, key=str) == sorted(runs, key=str)
    assert {run.named for run in listed} >= {
        RunName("train-labeler"), RunName("pretrain", name="a b"),
        RunName("finetune", "folder-odir", "swcl", "fold1-seed0"),
    }  # fmt: skip
    assert grid_points(runs[-1].folder) == [runs[-1].folder / "lr0.1-wd0.001"] and grid_points(runs[0].folder) == []


def test_nothing_is_listed_of_nothing(workspace: Workspace) -> None:
    assert workspace.run_folders() == ([], [])


class TestFlatFolders:
    """Of versions that joined step, task, name and run by dashes."""

    def test_they_are_listed_where_an_artefact_tells_what_they_are_of(self, workspace: Workspace) -> None:
        (workspace.finetune("idrid", "swcl") / "seed0").mkdir(parents=True)
        flat = {
            _begun(_flat(workspace, "pretrain-swcl-image")): RunName("pretrain", name="swcl-image"),
            _begun(_flat(workspace, "finetune-idrid-swcl-seed0")): RunName("finetune", "idrid", "swcl", "seed0"),
            _begun(_flat(workspace, "finetune-idrid-dino-seed0")): RunName("finetune", "idrid", "dino", "seed0"),
        }
        begun = _begun(_flat(workspace, "finetune-folder-odir-swcl-fold1-seed0"), _work("folder", data="odir", fold=1))
        flat[begun] = RunName("finetune", "folder-odir", "swcl", "fold1-seed0")
        strays_here = [
            _begun(_flat(workspace, "finetune-drive-swcl-seed0")),
            _begun(_flat(workspace, "finetune-drive-swcl-seed1"), _work("drive", seed=2)),
        ]
        listed, strays = workspace.run_folders([RunName("finetune", "idrid", "dino", "seed0")])
        assert {run.folder: run.named for run in listed} == flat and strays == strays_here

    def test_names_with_dashes_are_told_apart_by_the_folders_of_results(self, workspace: Workspace) -> None:
        """Of the runs nothing is there yet. What follows a task and name must be a run's name."""
        for name in ("swcl", "swcl-image"):
            workspace.finetune("refuge-cls", name).mkdir(parents=True)
        names = ("refuge-cls-swcl-fold1-seed0", "refuge-cls-swcl-image-seed2", "refuge-cls-swcl-seed2x")
        flat = [_begun(_flat(workspace, f"finetune-{name}")) for name in names]
        listed, strays = workspace.run_folders()
        assert {run.folder: run.named for run in listed} == {
            flat[0]: RunName("finetune", "refuge-cls", "swcl", "fold1-seed0"),
            flat[1]: RunName("finetune", "refuge-cls", "swcl-image", "seed2"),
        }
        assert strays == flat[2:]

    def test_a_name_that_fits_two_runs_is_of_neither(self, workspace: Workspace) -> None:
        for task, name in (("folder-odir", "swcl"), ("folder", "odir-swcl")):
            (workspace.finetune(task, name) / "seed0").mkdir(parents=True)
        stray = _begun(_flat(workspace, "finetune-folder-odir-swcl-seed0"))
        assert workspace.run_folders() == ([], [stray])

    def test_a_run_that_has_begun_anew_has_no_flat_one(self, workspace: Workspace) -> None:
        stray, run = _begun(_flat(workspace, "pretrain-swcl")), workspace.pretraining("swcl")
        _begun(run.folder)
        assert workspace.run_folders() == ([run], [stray])


class TestAdoption:
    def adopted(self, workspace: Workspace, run: RunFolder, flat: Path) -> bool:
        """Whether the flat folder became the run's; nothing of it is lost either way."""
        before = {path.relative_to(flat): path.read_bytes() for path in flat.rglob("*") if path.is_file()}
        assert workspace.adopt(run) == run
        place = run.folder if not flat.exists() else flat
        assert {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
        return place == run.folder

    def test_of_a_pretraining(self, workspace: Workspace) -> None:
        flat, run = _begun(_flat(workspace, "pretrain-swcl-image")), workspace.pretraining("swcl-image")
        assert self.adopted(workspace, run, flat)
        workspace.adopt(run)  # again: nothing is left to do
        assert run.log.exists()

    @pytest.mark.parametrize(
        ("begun", "adopted"),
        [
            pytest.param(_work("idrid"), True, id="the same"),
            pytest.param(_work("idrid", epochs=3), True, id="other settings, which the training tells of"),
            pytest.param(_work("idrid", seed=1), False, id="another seed"),
            pytest.param(_work("idrid", fold=0), False, id="a fold"),
            pytest.param(_work("drive"), False, id="another task"),
            pytest.param(_work("idrid", step="pretrain"), False, id="another step"),
        ],
    )
    @pytest.mark.parametrize("point", ["", "lr0.1-wd0.001"])
    def test_of_a_fine_tuning_that_was_broken_off(
        self, workspace: Workspace, begun: dict[str, Any], adopted: bool, point: str
    ) -> None:
        flat = _flat(workspace, "finetune-idrid-swcl-seed0")
        _begun(flat)
        _begun(flat / point, begun)
        run = workspace.finetuning("idrid", "swcl", "seed0")
        assert self.adopted(workspace, run, flat) == adopted

    @pytest.mark.parametrize(
        ("data", "task", "name"), [("odir", "folder-odir", "swcl"), ("folder", "folder", "odir-swcl")]
    )
    def test_of_two_runs_with_one_name_the_state_tells_which(
        self, workspace: Workspace, data: str, task: str, name: str
    ) -> None:
        """Both were made before, in turn; the second one's state is there."""
        runs = {
            "odir": workspace.finetuning("folder-odir", "swcl", "seed0"),
            "folder": workspace.finetuning("folder", "odir-swcl", "seed0"),
        }
        for run in runs.values():
            (workspace.finetune(run.task, run.name) / run.run).mkdir(parents=True)
        flat = _begun(_flat(workspace, "finetune-folder-odir-swcl-seed0"), _work("folder", data=data))
        for other, run in sorted(runs.items(), key=lambda item: item[0] == data):
            assert self.adopted(workspace, run, flat) == (other == data)

    def test_a_log_alone_goes_with_the_only_run_that_is_here(self, workspace: Workspace) -> None:
        flat, run = (
            _begun(_flat(workspace, "finetune-folder-odir-swcl-seed0")),
            workspace.finetuning("folder-odir", "swcl", "seed0"),
        )
        assert not self.adopted(workspace, run, flat)
        (workspace.finetune("folder-odir", "swcl") / "seed0").mkdir(parents=True)
        (workspace.finetune("folder", "odir-swcl") / "seed0").mkdir(parents=True)
        assert not self.adopted(workspace, run, flat)
        (workspace.finetune("folder", "odir-swcl") / "seed0").rmdir()
        assert self.adopted(workspace, run, flat)

    def test_a_damaged_state_is_as_none(self, workspace: Workspace) -> None:
        flat = _begun(_flat(workspace, "finetune-idrid-swcl-seed0"))
        (flat / "resume.safetensors").write_bytes(b"no more")
        run = workspace.finetuning("idrid", "swcl", "seed0")
        assert not self.adopted(workspace, run, flat)
        (workspace.finetune("idrid", "swcl") / "seed0").mkdir(parents=True)
        assert self.adopted(workspace, run, flat)  # the training tells of the damage

    def test_a_run_that_has_begun_anew_stays(self, workspace: Workspace) -> None:
        flat, run = _begun(_flat(workspace, "pretrain-swcl")), workspace.pretraining("swcl")
        run.folder.mkdir(parents=True)
        write_text(run.log, "new")
        workspace.adopt(run)
        assert run.log.read_text() == "new" and (flat / "log.jsonl").exists()

    def test_another_process_may_be_faster(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        _begun(_flat(workspace, "pretrain-swcl"))
        rename = os.rename

        def twice(old: Path, new: Path) -> None:
            rename(old, new)
            rename(old, new)

        monkeypatch.setattr(os, "rename", twice)
        assert workspace.adopt(workspace.pretraining("swcl")).log.exists()

    def test_a_folder_that_can_not_be_renamed_is_told(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flat = _begun(_flat(workspace, "pretrain-swcl"))

        def refused(old: Path, new: Path) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "rename", refused)
        with pytest.raises(SwclError, match=r"could not be renamed to .*pretrain/swcl: Permission denied"):
            workspace.adopt(workspace.pretraining("swcl"))
        assert flat.exists()
