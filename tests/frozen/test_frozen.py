"""A workspace of version 0.1: what is finished stays, what was interrupted goes on, nothing is lost."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from swcl_cli.preparation.jobs import RECIPE
from swcl_cli.workspace import JOURNAL, read_provenance, versions
from tests.commands import swcl
from tests.frozen.archive import unpack
from tests.frozen.make import CLASSES, FINISHED, INTERRUPTED, PREPARED, PRETRAIN, W
from tests.workspace.test_neutral_values import FIRST

DONE = {
    "train-labeler": "The labeler is already trained with these settings and data.",
    "pretrain": "swcl.safetensors is already trained with these settings and data.",
    "idrid": "idrid from swcl, seed0: This run is already done.",
    "grid": "idrid from grid, seed0: This run is already done.",
    "drive": "drive from swcl, seed0: This run is already done.",
    "folder": "folder-drive from drive-random, fold1-seed0: This run is already done.",
}
OTHERWISE = {  # what this version makes by another rule: why, and what to do
    "make-swap": "swap.parquet was made differently (right_eyes: mirrored, then scored -> scored, then mirrored). "
    "Score again with --fresh.",
}
BEGUN = {  # the artefact that was not there yet, and the resume state that was
    "pretrain": ("begun.safetensors", "pretrain-begun"),
    "idrid": ("finetune/idrid/begun/results.parquet", "finetune-idrid-begun-seed1"),
    "grid": ("finetune/idrid/grid-begun/grid.parquet", "finetune-idrid-grid-begun-seed0/lr0.1-wd0.0005"),
}
TRAINED_AS_BEFORE = ("--precise-bn", 0)  # what fine-tunings of version 0.1 were made with
STOPPED_AFTER = {"pretrain": 3, "idrid": 2, "grid": 2}


def as_before(command: tuple[object, ...]) -> tuple[object, ...]:
    """The command with the settings that came later, at the values that do what was done then."""
    return (*command, *TRAINED_AS_BEFORE) if command[0] == "finetune" else command


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("frozen")
    unpack(root)
    return root


@pytest.fixture
def workspace(frozen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, in which commands work as they did when it was made. Weights are shared: they are only ever replaced."""

    def copy(source: str, target: str) -> None:
        os.link(source, target) if source.endswith(".safetensors") else shutil.copy2(source, target)

    place = tmp_path / "workspace"
    shutil.copytree(frozen / "workspace", place, copy_function=copy)
    monkeypatch.chdir(place)
    return place


def artefacts(root: Path) -> dict[str, object]:
    """Files outside runs/ and phantom/, by name: tables as rows, weights as which file of the disk, others as bytes."""
    found: dict[str, object] = {}
    for path in root.rglob("*"):
        name = path.relative_to(root).as_posix()
        if path.is_dir() or name.startswith(("runs/", "phantom/", "report/")) or path.name.startswith("."):
            continue
        if path.suffix == ".parquet":
            found[name] = repr(pq.read_table(path).to_pydict())  # where NaN equals NaN
        else:
            found[name] = path.stat().st_ino if path.suffix == ".safetensors" else path.read_bytes()
    return found


def logs(root: Path) -> list[list[str]]:
    return [path.read_text(encoding="utf-8").splitlines() for path in root.glob("runs/**/log.jsonl")]


def logged(root: Path, before: list[list[str]]) -> bool:
    """Whether each log from before lies somewhere below runs/, whole or gone on with."""
    return all(any(log[: len(lines)] == lines for log in logs(root)) for lines in before)


def test_what_is_finished_is_done(workspace: Path) -> None:
    before, log_before = artefacts(workspace), logs(workspace)
    assert len(log_before) == 18 and FINISHED.keys() == DONE.keys() | OTHERWISE.keys()
    for name, command in FINISHED.items():
        done = swcl(*as_before(command))
        if name in OTHERWISE:
            assert (done.code, done.err.strip()) == (1, f"error: {OTHERWISE[name]}")
            continue
        assert done.code == 0, done.err
        assert DONE[name] in done.out and "training" not in done.out, done.out
    assert artefacts(workspace) == before
    assert logged(workspace, log_before)


@pytest.mark.parametrize("name", [name for name, command in FINISHED.items() if command[0] == "finetune"])
def test_what_is_made_otherwise_now_is_told_by_name(workspace: Path, name: str) -> None:
    """A fine-tuning that is finished stays as it is, until somebody decides."""
    before = artefacts(workspace)
    done = swcl(*FINISHED[name])
    assert done.code == 1 and artefacts(workspace) == before
    assert "was made differently (precise_bn: 0 -> 20). Start over with --fresh" in done.err
    assert "made before there was this setting: --precise-bn 0 takes it as it is." in done.err


@pytest.mark.parametrize("name", INTERRUPTED)
def test_what_was_interrupted_goes_on(workspace: Path, name: str) -> None:
    before, log_before = artefacts(workspace), logs(workspace)
    made, state = BEGUN[name]
    assert not (workspace / made).exists() and (workspace / "runs" / state / "resume.safetensors").exists()
    command = as_before(INTERRUPTED[name][1])
    done = swcl(*command)
    assert done.code == 0, done.err
    assert done.out.count("Resuming ") == 1
    assert f" after step {STOPPED_AFTER[name]}." in done.out
    assert (workspace / made).exists()
    waiting = list(workspace.glob("runs/**/resume.safetensors"))
    assert len(waiting) == len(BEGUN) - 1  # those of the other two

    after = artefacts(workspace)
    gone = before.keys() - after.keys()
    assert gone == ({"finetune/idrid/grid-begun/seed0/grid/lr0.1-wd0.001.safetensors"} if name == "grid" else set())
    assert {file: after[file] for file in before.keys() - gone} == {file: before[file] for file in before.keys() - gone}
    assert logged(workspace, log_before)
    if name == "idrid":
        assert "idrid from begun, seed0: This run is already done." in done.out
    if name == "grid":
        assert "1 of 6 done" in done.out and done.out.count(": learning rate ") == 5
    again = swcl(*command)
    assert again.code == 0 and ("already done" in again.out or "already trained" in again.out), again.out + again.err


def test_the_report_reads_all_of_it(workspace: Path, frozen: Path) -> None:
    before = artefacts(workspace)
    done = swcl("report")
    page = (workspace / "report/index.html").read_text(encoding="utf-8")
    assert done.code == 0 and done.err.startswith("warning: These are phantom eyes")
    assert done.err.count("warning") == 1  # where damage is named, too
    assert "could not be used" not in page and "Make it again with: swcl make-swap --fresh" in page
    figures = {path.stem for path in workspace.glob("report/figures/*.png")}
    assert set((frozen / "reported/figures.txt").read_text().split()) <= figures
    for table in (frozen / "reported").glob("*.csv"):
        reported, before_now = rows(workspace / "report/tables" / table.name), rows(table)
        if table.name == "results.csv":  # version 0.1 counted folds, and had no interval of several runs
            (folds,) = [row for row in before_now if row["initialisation"] == "drive-random"]
            (seeds,) = [row for row in reported if row["initialisation"] == "drive-random"]
            assert (folds["runs"], seeds["runs"], seeds["standard_deviation"]) == ("2", "1", "")
            assert float(seeds["low"]) < float(seeds["mean"]) < float(seeds["high"])
            folds |= {name: seeds[name] for name in ("runs", "standard_deviation", "low", "high")}
        if table.name == "datasets.csv":  # which set published counts of real photographs beside phantom eyes
            before_now = [
                {key: "" if "published" in key else value for key, value in row.items()} for row in before_now
            ]
        assert reported == before_now
    assert artefacts(workspace) == before


def rows(table: Path) -> list[dict[str, str]]:
    with open(table, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize(("task", "column"), [("idrid", "dr_grade"), ("drive", "vessel_share")])
def test_predict_reads_the_models(workspace: Path, task: str, column: str) -> None:
    photographs = sorted(workspace.glob("phantom/folder/*/*.jpg"))[:2]
    done = swcl("predict", f"finetune/{task}/swcl/seed0/model.safetensors", *photographs, "--out", "out", *W)
    assert done.code == 0, done.err
    predicted = rows(workspace / "out/predictions.csv")
    assert len(predicted) == len(photographs) == 2 and all(row[column] for row in predicted)


@pytest.mark.parametrize(
    ("command", "init"),
    [
        ((*PRETRAIN, "--views", 32), "labeler.safetensors"),
        ((*PRETRAIN, "--views", 32), "swcl.safetensors"),
        (CLASSES, "finetune/drive/swcl/seed0/model.safetensors"),
    ],
)
def test_training_starts_from_its_weights(workspace: Path, command: tuple[object, ...], init: str) -> None:
    before = artefacts(workspace)
    done = swcl(*command, "--init", init, "--name", "new")
    assert done.code == 0 and f"100 of 100 weights of resnet18 from {init}" in done.out, done.out + done.err
    assert artefacts(workspace).items() >= before.items()


def test_prepared_photographs_stay(workspace: Path) -> None:
    """Under the versions and the recipe that it was made with, nothing is prepared again; under others nothing else
    comes out.
    """
    before = artefacts(workspace)
    manifest = workspace / "data/folder/manifest.parquet"
    made = json.loads((workspace / "data/folder" / JOURNAL).read_text().splitlines()[0])
    same = read_provenance(manifest)["versions"] == versions() and made["recipe"].startswith(f"{RECIPE} ")
    done = swcl("prep", "folder", "phantom/folder", *PREPARED["folder"], *W)
    assert done.code == 0, done.err
    assert ("everything was prepared already; nothing has changed" in done.out) >= same
    assert ("photographs to prepare" in done.out) <= (not same)
    assert artefacts(workspace) == before


def test_it_is_of_that_version(frozen: Path) -> None:
    made = {read_provenance(path)["versions"]["swcl"] for path in frozen.rglob("*.safetensors")}
    assert made == {"0.1.0"}
    states = frozen.glob("workspace/runs/**/resume.safetensors")
    assert sorted(read_provenance(path)["resume"]["step"] for path in states) == sorted(STOPPED_AFTER.values())
    assert json.loads((frozen / "workspace/phantom/drawing.json").read_text())["swcl"] == "0.1.0"


def test_the_settings_that_its_artefacts_tell_are_those_of_the_first_version(frozen: Path) -> None:
    """What they lack, of settings to come, is at its neutral value: tests/workspace/test_neutral_values.py."""
    for path in [*frozen.rglob("*.parquet"), *frozen.rglob("*.safetensors")]:
        made = read_provenance(path)
        assert made["settings"].keys() <= set(FIRST[made["step"]].split()), path
