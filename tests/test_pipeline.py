"""The six commands from raw photographs to a report, on a few phantom eyes: equal bytes wherever, however and how
often they were started and stopped.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file

from swcl_cli.models.encoders import load_encoder
from swcl_cli.training.run import Run
from swcl_cli.workspace import Workspace, fingerprint, read_provenance
from tests.commands import finish, process, swcl
from tests.folders import contents

PRESET = """
[prep.phantom]
patients = 8
seed = 12  # both classes among two validation photographs
drawn_size = 96
size = 96
[train-labeler]
architecture = "resnet18"
crop = 64
views = 2
batch_labelled = 6
batch_unlabelled = 4
accumulate = 2
epochs = 3
milestones = [1]
keep = "best"
[pretrain]
architecture = "resnet18"
batch_patches = 60
epochs = 1
[finetune]
architecture = "resnet18"
seeds = 1
[finetune.idrid]
crop = 64
batch = 4
epochs = 3
[finetune.drive]
crop = 128
output_stride = 16
batch = 4
epochs = 1
"""
STEPS = {
    "prep": ["prep", "phantom"],
    "train-labeler": ["train-labeler"],
    "make-swap": ["make-swap"],
    "pretrain": ["pretrain"],
    "idrid": ["finetune", "idrid", "--init", "swcl.safetensors"],
    "drive": ["finetune", "drive", "--init", "random"],
    "report": ["report"],
}
MADE = {  # by each step: what a copy of the workspace loses to be made again
    "train-labeler": ["labeler.safetensors", "runs/train-labeler"],
    "pretrain": ["swcl.safetensors", "runs/pretrain/swcl"],
    "idrid": ["finetune/idrid", "runs/finetune/idrid/swcl/seed0"],
}
NO_ARTEFACTS = {"log.jsonl", ".journal.jsonl", ".lock"}  # logs, and what `prep` keeps for itself
SECONDS = 120
LAST_STEP = 4  # of pretraining: 120 pairs, 30 a step


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """As the processes have: other thread counts give other sums (FACTS 5)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preset") / "tiny.toml"
    path.write_text(PRESET)
    return path


def arguments(workspace: Path, preset: Path, step: str, *more: object) -> list[object]:
    return ["--workspace", workspace, *STEPS[step], "--preset", preset, *more]


def run(workspace: Path, preset: Path, step: str, *more: object) -> str:
    done = swcl(*arguments(workspace, preset, step, *more))
    assert done.code == 0, done.err
    return done.out


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """New files lack these rights, as in the shell of somebody who shares with a group, or does not."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def rights(folder: Path) -> dict[str, int]:
    """Who may do what with each file and folder, by their path: 0o640."""
    return {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o777 for path in folder.rglob("*")}


def shared(folder: Path, mask: int) -> dict[str, int]:
    """The rights that the umask leaves to each file and folder."""
    return {
        path.relative_to(folder).as_posix(): (0o777 if path.is_dir() else 0o666) & ~mask for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, preset: Path) -> Path:
    """A workspace in which everything was made in one go, without worker processes; a group may read it."""
    workspace = tmp_path_factory.mktemp("whole") / "workspace"
    with umask(0o027):
        for step in STEPS:
            run(workspace, preset, step, *([] if step == "report" else ["--workers", 0]))
    return workspace


def same(first: Path, second: Path) -> None:
    one, other = contents(first, without=NO_ARTEFACTS), contents(second, without=NO_ARTEFACTS)
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []


def without(whole: Path, step: str, place: Path) -> Path:
    """A copy of the workspace that lacks what `step` makes."""
    shutil.copytree(whole, place)
    for name in MADE[step]:
        path = place / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return place


def stop(workspace: Path, preset: Path, step: str, number: signal.Signals, steps: int) -> None:
    """Starts a step that saves after each of its steps, sends a signal to all its processes, and waits for its end.

    It is stopped after `steps` of its steps; where the signal can be heeded, it says so and exits with 130.
    """
    log = workspace / MADE[step][1] / "log.jsonl"
    started = process(*arguments(workspace, preset, step, "--save-seconds", 0, "--workers", 1))
    patience = time.monotonic() + SECONDS
    while not log.exists() or log.read_bytes().count(b'"loss"') < steps:
        assert started.poll() is None and time.monotonic() < patience, started.communicate()
        time.sleep(0.01)
    os.killpg(started.pid, number)
    done = finish(started, SECONDS)
    if number == signal.SIGKILL:
        assert done.code == -number
    else:
        assert done.code == 130 and "Traceback" not in done.err
        assert done.err.startswith("error: Stopped after step ") and "same command goes on from there." in done.err


def test_every_command_leaves_its_artefacts(whole: Path) -> None:
    names = contents(whole, without=NO_ARTEFACTS)
    work = Workspace(whole)
    assert work.prepared() == ["drive", "eyepacs", "idrid", "odir"]
    finetuned = ["model.safetensors", "predictions.parquet", "results.parquet"]
    assert sorted(name for name in names if name.split("/")[0] not in ("data", "phantom", "report")) == sorted([
        "labeler.safetensors", "swap.parquet", "swcl.safetensors", "runs/make-swap/cams.safetensors",
        "runs/train-labeler/validation.parquet",
        *(f"finetune/{row}/seed0/{name}" for row in ("idrid/swcl", "drive/random") for name in finetuned),
        *(f"finetune/{row}/{name}" for row in ("idrid/swcl", "drive/random") for name in finetuned[1:]),
        *(f"finetune/drive/random/seed0/maps/{number:02d}_test.png" for number in range(1, 6)),
    ])  # fmt: skip
    assert {"report/index.html", "report/tables/results.csv"} <= names.keys()
    tuned = (work.finetuning("idrid", "swcl", "seed0"), work.finetuning("drive", "random", "seed0"))
    assert all(run.log.stat().st_size > 0 for run in (work.labeler_run, work.pretraining("swcl"), *tuned))


def test_the_umask_decides_who_may_read_an_artefact(whole: Path, preset: Path, tmp_path: Path) -> None:
    assert rights(whole) == shared(whole, 0o027)
    with umask(0o027):
        for task, name in (("idrid", "swcl"), ("drive", "random")):
            model = whole / f"finetune/{task}/{name}/seed0/model.safetensors"
            done = swcl("predict", model, whole / "phantom/drive/test/images", "--out", tmp_path / task, "--workers", 0)
            assert done.code == 0, done.err
            assert rights(tmp_path / task) == shared(tmp_path / task, 0o027)
        patches = tmp_path / "patches"
        run(whole, preset, "make-swap", "--materialize", patches, "--workers", 0)
    assert len(rights(patches)) > 100 and rights(patches) == shared(patches, 0o027)


def test_no_artefact_knows_where_it_was_made(whole: Path) -> None:
    place, host = str(whole.parent).encode(), os.uname().nodename.encode()
    for name, data in contents(whole, without=NO_ARTEFACTS).items():
        assert place not in data, name
        assert len(host) < 5 or host not in data, name


def test_provenance_leads_back_to_the_downloads(whole: Path) -> None:
    work = Workspace(whole)
    labeler, swap, encoder = (read_provenance(path) for path in (work.labeler, work.swap, work.encoder("swcl")))
    manifests = {name: fingerprint(work.manifest(name)) for name in ("odir", "eyepacs")}
    assert labeler["inputs"] == manifests
    assert swap["inputs"] == {"labeler": fingerprint(work.labeler), **manifests}
    assert encoder["inputs"] == {"swap": fingerprint(work.swap)}
    assert encoder["settings"]["batch_patches"] == 60 and encoder["encoder"]["image_size"] == 48
    results = read_provenance(work.finetune("idrid", "swcl") / "results.parquet")
    assert results["inputs"] == {
        "idrid": fingerprint(work.manifest("idrid")),
        "init": fingerprint(work.encoder("swcl")),
    }


def test_plain_timm_loads_the_encoder(whole: Path) -> None:
    path = whole / "swcl.safetensors"
    plain = timm.create_model(read_provenance(path)["encoder"]["architecture"], num_classes=0)
    plain.load_state_dict(load_file(path), strict=True)
    images = torch.from_numpy(np.random.Generator(np.random.Philox(1)).random((2, 3, 64, 64), np.float32))
    with torch.no_grad():
        features = plain.eval()(images)
        assert torch.equal(features, load_encoder(path).eval()(images)) and features.std() > 0


def test_another_workspace_is_equal_byte_for_byte(whole: Path, preset: Path, tmp_path: Path) -> None:
    """In another folder, with worker processes, and broken off twice: from drawing to report."""
    other = tmp_path / "another name" / "elsewhere"
    broken_off = {"train-labeler": signal.SIGTERM, "pretrain": signal.SIGKILL}
    with umask(0o002):
        for step in STEPS:
            if step in broken_off:
                stop(other, preset, step, broken_off[step], steps=2)
            resumed = run(other, preset, step, *([] if step == "report" else ["--workers", 2]))
            assert ("Resuming " in resumed) == (step in broken_off)
    same(whole, other)
    assert rights(other) == shared(other, 0o002)


def test_running_again_changes_nothing_and_says_so(whole: Path, preset: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(whole, again)
    said = {step: run(again, preset, step) for step in STEPS if step != "report"}
    same(whole, again)
    assert said["prep"].count("everything was prepared already; nothing has changed.") == 4
    for step in ("train-labeler", "pretrain"):
        assert "is already trained with these settings and data." in said[step]
    assert "retinal-SWAP is already made with these settings and data." in said["make-swap"]
    assert "This run is already done." in said["idrid"] and "This run is already done." in said["drive"]


@pytest.mark.parametrize(
    ("step", "changed", "message"),
    [
        ("train-labeler", ["--seed", 1, "--margin", 0.25], "margin: 0.5 -> 0.25; seed: 0 -> 1"),
        ("make-swap", ["--background", "none"], "background: released -> none"),
        ("pretrain", ["--labels", "position,patient"], "labels: ['position', 'abnormality', 'patient'] -> ['position'"),
        ("idrid", ["--epochs", 4], "epochs: 3 -> 4"),
        ("drive", ["--init", "swcl.safetensors", "--name", "random"], "init: None -> "),
    ],
)
def test_other_settings_are_refused_with_what_differs(
    whole: Path, preset: Path, step: str, changed: list[object], message: str
) -> None:
    before = contents(whole, without=NO_ARTEFACTS)
    done = swcl(*arguments(whole, preset, step, *changed))
    assert done.code == 1 and message in done.err and "--fresh" in done.err
    assert contents(whole, without=NO_ARTEFACTS) == before


def test_changed_inputs_are_refused(whole: Path, preset: Path, tmp_path: Path) -> None:
    place = tmp_path / "changed"
    shutil.copytree(whole, place)

    def refused(step: str, name: str) -> None:
        done = swcl(*arguments(place, preset, step))
        assert done.code == 1 and f"{name}: " in done.err and "--fresh" in done.err

    assert "Scores kept, labels rewritten: threshold: 0.4 -> 0.7." in run(
        place, preset, "make-swap", "--threshold", 0.7
    )
    refused("pretrain", "swap")
    run(place, preset, "prep", "--size", 80)
    refused("train-labeler", "eyepacs")
    refused("make-swap", "eyepacs")
    refused("idrid", "idrid")


def test_a_fresh_start_that_was_stopped_goes_on(
    whole: Path, preset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the artefact of the earlier work is still there; and a state that outlived its artefact is cleared."""
    place = tmp_path / "fresh"
    shutil.copytree(whole, place)
    state = place / "runs/pretrain/swcl/resume.safetensors"
    other_work = ["--seed", 1]
    log = Run.log

    def log_and_press(self: Run, **record: object) -> None:
        log(self, **record)
        if self.state.step == LAST_STEP and "loss" in record:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "log", log_and_press)
        stopped = swcl(*arguments(place, preset, "pretrain", *other_work, "--fresh"))
    assert stopped.code == 130 and "the same command without --fresh goes on from there." in stopped.err
    assert read_provenance(place / "swcl.safetensors")["settings"]["seed"] == 0

    with monkeypatch.context() as patched:
        patched.setattr(Run, "finish", lambda _: None)  # as kill -9 between the last two writes
        assert "Resuming " in run(place, preset, "pretrain", *other_work)
    made = (place / "swcl.safetensors").read_bytes()
    assert read_provenance(place / "swcl.safetensors")["settings"]["seed"] == 1 and state.exists()
    run(place, preset, "pretrain", *other_work)
    assert (place / "swcl.safetensors").read_bytes() == made and not state.exists()


@pytest.mark.slow
@pytest.mark.parametrize("step", MADE)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_broken_off_run_goes_on(whole: Path, preset: Path, tmp_path: Path, step: str, number: signal.Signals) -> None:
    place = without(whole, step, tmp_path / "stopped")
    stop(place, preset, step, number, steps=2)
    assert not (place / MADE[step][0]).is_file()
    assert "Resuming " in run(place, preset, step)
    same(whole, place)
