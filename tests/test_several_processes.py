"""`torchrun ... swcl pretrain`: several processes write what one would, and are stopped and resumed as one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from swcl_cli.models.encoders import create_encoder, encoder_state
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
            pretrain, "_own_part", lambda method, _: lambda step: [keys[: len(keys) // 2] for keys in method.plan(step)]
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
