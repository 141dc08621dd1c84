from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.errors import SwclError
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.evidence.unfinished import Unfinished
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.reporting.findings.scores import scores
from swcl_cli.workspace import LABELER, RunName, Workspace, read_provenance, write_parquet
from tests.reporting import golden


def _said(contents: Contents) -> str:
    return "\n".join("\n".join((caution.text, *caution.details)) for caution in cautions(contents))


def test_an_empty_workspace_names_the_first_commands(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match=r"nothing to report.*\n.*swcl prep phantom.*swcl train-labeler"):
        read_contents(Workspace(tmp_path))
    with pytest.raises(SwclError, match="nothing to report"):
        read_contents(Workspace(tmp_path / "absent"))


def test_the_golden_workspace_is_whole(contents: Contents) -> None:
    assert not contents.damaged
    assert not contents.unfinished
    assert list(contents.encoders) == ["swcl"]
    assert len(contents.finetuned) == 5


@pytest.mark.parametrize(
    "path",
    ["finetune/idrid/random/results.parquet", "finetune/idrid/random/predictions.parquet", "swap.parquet",
     "data/odir/manifest.parquet", "swcl.safetensors", "runs/make-swap/cams.safetensors",
     "runs/train-labeler/validation.parquet", "runs/train-labeler/log.jsonl"],
)  # fmt: skip
@pytest.mark.parametrize("content", [b"", b"PAR1 no more"])
def test_a_damaged_file_is_named_and_the_rest_is_kept(workspace: Workspace, path: str, content: bytes) -> None:
    if path.endswith("jsonl"):
        content = b"{]\n{}\n"
    (workspace.root / path).write_bytes(content)
    contents = read_contents(workspace)
    assert [path in line for line in contents.damaged] == [True]
    assert str(workspace.root) not in contents.damaged[0]
    assert path in _said(contents)
    assert ("idrid", "swcl") in {(score.task, score.name) for score in scores(contents.results)}


def test_without_a_labeler_its_scores_are_of_no_use(workspace: Workspace) -> None:
    workspace.labeler.write_bytes(b"PAR1 no more")
    contents = read_contents(workspace)
    assert contents.labeler is None and contents.labeler_scores is None
    assert [line.split(" can't")[0] for line in contents.damaged] == [
        "labeler.safetensors",
        "runs/train-labeler/validation.parquet",
    ]
    workspace.labeler.unlink()
    assert read_contents(workspace).damaged == [
        "runs/train-labeler/validation.parquet can't be used: it is not of the labeler that is here. Make it again "
        "with: swcl train-labeler --fresh"
    ]


def test_scores_of_another_labeler_are_not_shown(workspace: Workspace) -> None:
    path = workspace.labeler_scores
    other = {**read_provenance(path), "settings": {"seed": 1}}
    write_parquet(path, pq.read_table(path), other)
    contents = read_contents(workspace)
    assert contents.labeler_scores is None and "not of the labeler" in contents.damaged[0]


def test_half_runs_are_listed_and_not_averaged(workspace: Workspace) -> None:
    records = [{"step": step, "loss": 1.0} for step in range(7)]
    golden.write_log(workspace.finetuning("idrid", "dino", "seed0").folder, records)
    golden.write_log(workspace.pretraining("dino").folder, [{"step": 0, "loss": 1.0}])
    workspace.pretraining("swcl").resume.write_bytes(b"state")
    contents = read_contents(workspace)
    assert contents.unfinished == [
        Unfinished("runs/finetune/idrid/dino/seed0", "7 steps done"),
        Unfinished("runs/pretrain/dino", "1 step done"),
        Unfinished("runs/pretrain/swcl", "100 steps done"),
    ]
    assert "dino" not in {score.name for score in scores(contents.results)}
    assert "runs/finetune/idrid/dino/seed0: 7 steps done" in _said(contents)


def test_a_log_whose_last_line_is_being_written(workspace: Workspace) -> None:
    log = workspace.labeler_run.log
    log.write_text(log.read_text() + '{"step": 100, "lo')
    contents = read_contents(workspace)
    assert not contents.damaged
    assert contents.logs[RunName(LABELER)]["step"].max() == 99


def test_foreign_safetensors_are_no_encoders(workspace: Workspace) -> None:
    (workspace.root / "bit.safetensors").write_bytes(workspace.labeler.read_bytes())
    assert list(read_contents(workspace).encoders) == ["swcl"]


def test_only_unfinished_runs_are_something_to_report(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    golden.write_log(workspace.labeler_run.folder, [{"step": 0, "loss": 1.0}])
    assert read_contents(workspace).unfinished == [Unfinished("runs/train-labeler", "1 step done")]


def test_predictions_of_another_kind_of_task_are_no_damage(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace.finetune("idrid", "random") / "predictions.parquet"
    table = pq.read_table(path).rename_columns({"head": "number"})
    write_parquet(path, table, read_provenance(path))
    (damage,) = read_contents(workspace).damaged
    assert "predictions.parquet" in damage and "it has no column head or structure" in damage
    monkeypatch.setitem(TASKS, "idrid", replace(TASKS["idrid"], kind="regression"))
    contents = read_contents(workspace)
    assert not contents.damaged and ("idrid", "random") in contents.finetuned
