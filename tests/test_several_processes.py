"""`torchrun ... swcl pretrain`, and --processes: several processes write what one would, and are stopped and resumed as
one.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from swcl_cli.models.encoders import create_encoder, encoder_state
from swcl_cli.pretraining import fitting
from swcl_cli.settings import PretrainSettings
from swcl_cli.steps import make_swap, pretrain
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared
from tests.commands import CALL, environment
from tests.folders import read_log
from tests.swap_runs import options as swap_options

pytestmark = pytest.mark.slow
VALUES = {
    "batch_patches": 24, "epochs": 2, "warmup_epochs": 1, "workers": 0, "accelerator": "cpu", "chunk": 8,
    "probe_every": 0, "learning_rate": 1e-5,
}  # fmt: skip
OPTIONS = [str(word) for name, value in VALUES.items() for word in (f"--{name.replace('_', '-')}", value)]


def command(root: Path, processes: int, name: str) -> list[str]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "--no-python"]
    several = [sys.executable, *torchrun] if processes > 1 else []
    return [*several, sys.executable, "-c", CALL, "pretrain", "--workspace", str(root), "--name", name, *OPTIONS]


def run(root: Path, processes: int, name: str) -> str:
    done = subprocess.run(
        command(root, processes, name), capture_output=True, text=True, env=environment(), timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def losses(root: Path, name: str) -> list[float]:
    return [line["loss"] for line in read_log(Workspace(root).pretraining(name).folder)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5 patients, one of them with one eye: 25 pairs, 5 of them singles; an epoch has 3 steps, the last one padded."""
    root = tmp_path_factory.mktemp("several")
    table = prepared.labelled_eyes(root, "odir", 5)
    prepared.change(root, "odir", eye=np.where(table["image_id"] == "4_right", "unknown", table["eye"]))
    prepared.labeler(root, ["odir"], [])
    make_swap.run(swap_options(root))
    run(root, 1, "one")
    return root


def trained(root: Path, name: str) -> torch.Tensor:
    """What training added to the encoder's weights, as one vector."""
    path = Workspace(root).encoder(name)
    start = encoder_state(create_encoder(read_provenance(path)["encoder"]["architecture"]))
    kept = load_file(path)
    assert kept.keys() == start.keys()
    return torch.cat([(kept[key] - start[key]).double().flatten() for key in start])


@pytest.fixture(scope="module")
def half(root: Path) -> str:
    """A run of one process on the first half of each batch: what a process makes that hears of no other one."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            fitting, "own_part", lambda method, _: lambda step: [keys[: len(keys) // 2] for keys in method.plan(step)]
        )
        pretrain.run(PretrainSettings.model_validate({"workspace": root, "name": "half", **VALUES}))
    return "half"


@pytest.mark.parametrize("processes", [2, 3])
def test_as_one(root: Path, half: str, processes: int) -> None:
    """The weights have moved, and in the same way; on half of each batch they would move in another."""
    told = run(root, processes, f"of{processes}")
    assert told.count("pairs = 48 views") == 1
    assert losses(root, f"of{processes}") == pytest.approx(losses(root, "one"), rel=1e-3)
    assert losses(root, half) != pytest.approx(losses(root, "one"), rel=0.02)
    one, several, apart = (trained(root, name) for name in ("one", f"of{processes}", half))
    assert (several - one).norm() < 0.1 * one.norm() and (apart - one).norm() > 0.5 * one.norm()


def test_stopped_and_resumed(root: Path) -> None:
    run(root, 2, "whole")
    started = subprocess.Popen(
        command(root, 2, "broken"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    )
    log = Workspace(root).pretraining("broken").log
    while not (log.exists() and log.read_text().count("\n") >= 2):
        assert started.poll() is None
        time.sleep(0.05)
    started.send_signal(signal.SIGTERM)
    started.communicate(timeout=120)
    assert started.returncode != 0 and (log.parent / "resume.safetensors").exists()
    assert "Resuming" in run(root, 2, "broken")
    whole, broken = (Workspace(root).encoder(name).read_bytes() for name in ("whole", "broken"))
    assert whole == broken


def test_a_batch_that_can_not_be_shared(root: Path) -> None:
    done = subprocess.run(command(root, 5, "of5"), capture_output=True, text=True, env=environment(), timeout=300)
    assert done.returncode == 1
    assert "A batch of 12 can't be shared by 5 processes: take --batch-patches 20" in done.stderr


ALONE = "convnext_atto"  # it has LayerNorm, which needs no word of other processes
LABELER = [
    "train-labeler", "--architecture", ALONE, "--crop", "32", "--views", "2", "--batch-labelled", "3",
    "--batch-unlabelled", "2", "--accumulate", "1", "--epochs", "2", "--workers", "0", "--accelerator", "cpu",
    "--optimizer", "adamw", "--learning-rate", "1e-4", "--keep", "best",
]  # fmt: skip
TASK = [
    "finetune", "folder", "--data", "eyes", "--init", "random", "--architecture", ALONE, "--seeds", "1", "--crop", "32",
    "--batch", "5", "--epochs", "3", "--workers", "0", "--accelerator", "cpu", "--optimizer", "adamw",
    "--learning-rate", "1e-4", "--schedule", "cosine",
]  # fmt: skip


def swcl(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CALL, *words, "--workspace", str(root)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=300)


def same_training(folders: list[Path]) -> None:
    """The losses of each step, and what is measured between, are alike to the last digits that rounding leaves."""
    one, several = (read_log(folder) for folder in folders)
    assert len(one) == len(several) > 4
    for line, other in zip(one, several, strict=True):
        for key in line.keys() & {"loss", "gradient_norm", "auc", "validation", "validation_loss"}:
            assert other[key] == pytest.approx(line[key], rel=2e-3), (line, other)


@pytest.mark.parametrize("words", [LABELER, TASK], ids=["labeler", "task"])
def test_labelers_and_tasks_as_one(tmp_path: Path, words: list[str]) -> None:
    """A last batch is smaller, its parts unequal, labels are missing, and only the first process writes and speaks."""
    roots = [tmp_path / name for name in ("one", "several")]
    for root in roots:
        table = prepared.labelled_eyes(root, "odir", 8)
        prepared.change(root, "odir", split=["train", "train", "train", "val"] * (len(table) // 4))
        prepared.labelled_eyes(root, "eyepacs", 3)
        photographs, labels = root / "photographs", root / "labels.csv"
        photographs.mkdir()
        rows = ["image,patient,grade,sign,split"]
        for item in range(30):
            Image.fromarray(prepared.photograph(item)).save(photographs / f"{item}.png")
            split = ("train", "train", "train", "train", "val", "test")[item % 6]
            known = ["" if item % 5 == 1 else str(item // 6 % 2), "" if item % 7 == 2 else str(item // 6 % 3)]
            rows.append(",".join([str(item), f"p{item}", *known, split]))
        labels.write_text("\n".join(rows) + "\n")
        assert swcl(root, "prep", "folder", str(photographs), "--labels", str(labels), "--name", "eyes",
                    "--size", "64").returncode == 0  # fmt: skip
    told = []
    for root, more in zip(roots, ((), ("--processes", "2")), strict=True):
        done = swcl(root, *words, *more)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
        assert swcl(root, *words, *more).returncode == 0  # it is done, and that is no fault
    assert [text.count(" photographs; ") for text in told] == [1, 1]
    logs = [next((root / "runs").rglob("log.jsonl")).parent for root in roots]
    same_training(logs)
    made = [sorted(str(path.relative_to(root)) for path in root.rglob("*.parquet")) for root in roots]
    assert made[0] == made[1]


def test_processes_say_a_fault_once(root: Path) -> None:
    """Exit code and words are those of the first of them; nothing of the launcher's is seen."""
    words = ["pretrain", "--name", "of5", *OPTIONS, "--processes", "5"]
    done = swcl(root, *words)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "error: A batch of 12 can't be shared by 5 processes: take --batch-patches 20."
    )
    assert "Traceback" not in done.stderr and done.stderr.count("can't be shared") == 1
