"""`torchrun ... swcl pretrain`: several processes write what one would, and are stopped and resumed as one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import CALL, environment
from safetensors.torch import load_file

from swcl_cli.steps import make_swap
from swcl_cli.workspace import Workspace
from tests import prepared
from tests.steps.test_make_swap import options as swap_options

pytestmark = pytest.mark.slow
OPTIONS = (
    "--batch-patches", "24", "--epochs", "2", "--warmup-epochs", "1", "--workers", "0", "--accelerator", "cpu",
    "--chunk", "8", "--probe-every", "0", "--learning-rate", "1e-5",
)  # fmt: skip


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
    lines = (Workspace(root).run(f"pretrain-{name}") / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


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


@pytest.mark.parametrize("processes", [2, 3])
def test_as_one(root: Path, processes: int) -> None:
    told = run(root, processes, f"of{processes}")
    assert told.count("pairs = 48 views") == 1
    assert losses(root, f"of{processes}") == pytest.approx(losses(root, "one"), rel=1e-3)
    one, several = (load_file(Workspace(root).encoder(name)) for name in ("one", f"of{processes}"))
    assert all(torch.allclose(one[key], several[key], atol=1e-4) for key in one)


def test_stopped_and_resumed(root: Path) -> None:
    run(root, 2, "whole")
    started = subprocess.Popen(
        command(root, 2, "broken"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    )
    log = Workspace(root).run("pretrain-broken") / "log.jsonl"
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
