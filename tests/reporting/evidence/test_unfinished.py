"""How far half-done work is: runs that wait for the others, runs and grids that were broken off."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.evidence.unfinished import STRAY, Unfinished
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.reporting.findings.scores import scores
from swcl_cli.workspace import (
    JOURNAL,
    RunName,
    Workspace,
    provenance,
    read_provenance,
    write_parquet,
    write_safetensors,
)
from tests.reporting import golden

NOTHING = {"weight": torch.zeros(1)}


def _found(workspace: Workspace) -> list[Unfinished]:
    return read_contents(workspace).unfinished


def _model(workspace: Workspace, task: str, name: str, run: str) -> None:
    path = workspace.finetune(task, name) / run / "model.safetensors"
    write_safetensors(path, NOTHING, provenance("finetune", {"task": task, "seed": int(run[-1])}, {}))


def _log(folder: Path, steps: int, steps_an_epoch: int = 0) -> None:
    records: list[dict[str, float]] = []
    for step in range(steps):
        records.append({"step": step, "loss": 1.0})
        if steps_an_epoch and step % steps_an_epoch == steps_an_epoch - 1:
            records.append({"step": step, "epoch": step // steps_an_epoch, "validation": 0.5})
    golden.write_log(folder, records)


def _resume(folder: Path, step: str, **settings: object) -> None:
    write_safetensors(folder / "resume.safetensors", NOTHING, provenance(step, settings, {}))


def test_runs_that_wait_for_the_others_are_in_no_average(workspace: Workspace) -> None:
    """Broken off in the third run: the first two are complete, results.parquet is not there yet."""
    for run in ("seed0", "seed1"):
        _model(workspace, "idrid", "dino", run)
        _log(workspace.finetuning("idrid", "dino", run).folder, 60)
    _log(workspace.finetuning("idrid", "dino", "seed2").folder, 12)
    contents = read_contents(workspace)
    assert contents.unfinished == [
        Unfinished("finetune/idrid/dino", "2 runs done, to be averaged once all are; seed2: 12 steps done")
    ]
    assert "dino" not in {score.name for score in scores(contents.results)}
    (caution,) = [caution for caution in cautions(contents) if caution.text.startswith("Unfinished")]
    assert caution.details[0].startswith("finetune/idrid/dino: 2 runs done")


def test_runs_that_came_after_the_average(workspace: Workspace) -> None:
    """More seeds than before: seed3 is complete, but the average is still that of three."""
    _model(workspace, "idrid", "swcl", "seed3")
    _log(workspace.finetuning("idrid", "swcl", "seed3").folder, 60)
    assert _found(workspace) == [Unfinished("finetune/idrid/swcl", "1 run done that results.parquet does not hold yet")]


def test_results_with_fewer_runs_than_they_are_to_hold(workspace: Workspace) -> None:
    path = workspace.finetune("idrid", "swcl") / "results.parquet"
    table, made = pq.read_table(path), read_provenance(path)
    write_parquet(path, table.filter(pc.not_equal(table["run"], "seed1")), made)
    words = "results.parquet holds 2 of 3 runs; seed1: 60 steps done"
    assert _found(workspace) == [Unfinished("finetune/idrid/swcl", words)]
    (score,) = [
        score for score in scores(read_contents(workspace).results) if (score.task, score.name) == ("idrid", "swcl")
    ]
    assert score.runs == 2


def test_folds_count_with_seeds(workspace: Workspace) -> None:
    path = workspace.finetune("idrid", "swcl") / "results.parquet"
    table, made = pq.read_table(path), read_provenance(path)
    write_parquet(path, table, {**made, "settings": {**made["settings"], "folds": 5}})
    assert [work.words for work in _found(workspace)] == ["results.parquet holds 3 of 15 runs"]


def test_what_is_left_is_told_where_it_is_known(workspace: Workspace) -> None:
    """An epoch of 20 steps and 120 epochs are 2,400 steps."""
    _log(workspace.pretraining("dino").folder, 45, steps_an_epoch=20)
    _resume(workspace.pretraining("dino").folder, "pretrain", epochs=120)
    assert _found(workspace) == [Unfinished("runs/pretrain/dino", "45 of at most 2,400 steps done")]
    _resume(workspace.pretraining("dino").folder, "pretrain", epochs=None)
    assert _found(workspace) == [Unfinished("runs/pretrain/dino", "45 steps done")]


def test_a_finished_run_that_was_begun_again(workspace: Workspace) -> None:
    _resume(workspace.finetuning("drive", "swcl", "seed0").folder, "finetune", epochs=300)
    _resume(workspace.labeler_run.folder, "train-labeler", epochs=200)
    assert _found(workspace) == [
        Unfinished("runs/train-labeler", "100 of at most 10,000 steps done"),
        Unfinished("finetune/drive/swcl", "seed0: 10 steps done"),
    ]


def test_a_damaged_resume_state(workspace: Workspace) -> None:
    _log(workspace.pretraining("dino").folder, 45)
    workspace.pretraining("dino").resume.write_bytes(b"no more")
    contents = read_contents(workspace)
    assert contents.unfinished == [Unfinished("runs/pretrain/dino", "45 steps done")]
    (line,) = contents.damaged
    assert line.startswith("runs/pretrain/dino/resume.safetensors can't be used: it is damaged")
    assert line.endswith("The same command with --fresh starts over.")


def test_a_run_without_any_step(workspace: Workspace) -> None:
    _log(workspace.pretraining("dino").folder, 0)
    assert _found(workspace) == [Unfinished("runs/pretrain/dino", "no step done yet")]


def test_a_grid_that_was_broken_off(workspace: Workspace) -> None:
    """Of the points under runs/ that have a log, those without a resume state are tried."""
    folder = workspace.finetuning("idrid", "dino", "seed0").folder
    for point in ("lr0.1-wd0.001", "lr0.1-wd0.0005", "lr0.03-wd0.001"):
        _log(folder / point, 9)
    _resume(folder / "lr0.03-wd0.001", "finetune", epochs=10)
    assert _found(workspace) == [Unfinished("runs/finetune/idrid/dino/seed0", "2 points of the grid tried")]
    (workspace.finetune("idrid", "dino") / "seed0" / "grid").mkdir(parents=True)
    assert _found(workspace) == [Unfinished("finetune/idrid/dino", "seed0: 2 points of the grid tried")]


def test_a_name_that_begins_like_another(workspace: Workspace) -> None:
    """`swcl` and `swcl-image` keep their runs apart."""
    for name in ("dino", "dino-image"):
        _model(workspace, "idrid", name, "seed0")
    _log(workspace.finetuning("idrid", "dino-image", "seed1").folder, 5)
    assert _found(workspace) == [
        Unfinished("finetune/idrid/dino", "1 run done, to be averaged once all are"),
        Unfinished("finetune/idrid/dino-image", "1 run done, to be averaged once all are; seed1: 5 steps done"),
    ]


def test_damaged_results_do_not_undo_their_runs(workspace: Workspace) -> None:
    (workspace.finetune("idrid", "swcl") / "results.parquet").write_bytes(b"PAR1 no more")
    assert _found(workspace) == []


def test_a_data_set_that_is_being_prepared(workspace: Workspace) -> None:
    (workspace.data("messidor")).mkdir(parents=True)
    (workspace.data("messidor") / JOURNAL).touch()
    (workspace.data("idrid") / JOURNAL).touch()
    assert _found(workspace) == [Unfinished("data/messidor", "broken off, or still being prepared")]


def test_flat_folders_of_older_versions(workspace: Workspace) -> None:
    """Known from artefacts or from what their resume states remember they are read as ever; others are named."""
    runs = workspace.root / "runs"
    (workspace.finetune("idrid", "dino") / "seed0").mkdir(parents=True)
    _log(runs / "finetune-idrid-dino-seed0", 12)
    _log(runs / "pretrain-dino", 45, steps_an_epoch=20)
    _resume(runs / "pretrain-dino", "pretrain", epochs=120)
    _log(runs / "finetune-drive-byol-seed0", 7)
    _resume(runs / "finetune-drive-byol-seed0", "finetune", task="drive", seed=0)
    _log(runs / "finetune-stare-byol-seed0", 7)
    contents = read_contents(workspace)
    assert contents.unfinished == [
        Unfinished("runs/finetune-drive-byol-seed0", "7 steps done"),
        Unfinished("runs/pretrain-dino", "45 of at most 2,400 steps done"),
        Unfinished("finetune/idrid/dino", "seed0: 12 steps done"),
        Unfinished("runs/finetune-stare-byol-seed0", STRAY),
    ]
    assert contents.logs.keys() >= {
        RunName("pretrain", name="dino"), RunName("finetune", "idrid", "dino", "seed0"),
        RunName("finetune", "drive", "byol", "seed0"),
    }  # fmt: skip
    assert not any(run.task == "stare" for run in contents.logs)


def test_flat_folders_make_the_same_report(workspace: Workspace) -> None:
    nested = read_contents(workspace)
    for run in workspace.run_folders()[0]:
        run.folder.rename(workspace.root / "runs" / "-".join(filter(None, run.named)))
    flat = read_contents(workspace)
    assert flat.unfinished == nested.unfinished == [] and flat.logs.keys() == nested.logs.keys() and len(flat.logs) > 9
    assert all(flat.logs[run].equals(nested.logs[run]) for run in nested.logs)
