"""Several gloo processes against one process on the whole batch (FACTS C8)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from swcl_cli.errors import SwclError
from swcl_cli.training import processes
from swcl_cli.training.processes import gather_rows, make_fabric
from tests.training import objectives_in_processes, two_processes


def torchrun(count: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("count", "chunk"), [(2, 3), (3, 0)])
def test_gradients_are_those_of_one_process(tmp_path: Path, count: int, chunk: int) -> None:
    done = torchrun(count, two_processes.__file__, str(tmp_path / "found.pt"), str(chunk))
    assert done.returncode == 0, done.stderr
    gradients, measures = torch.load(tmp_path / "found.pt")
    expected, one = two_processes.step(chunk=0)
    assert measures["loss"] == pytest.approx(one["loss"], rel=1e-6)
    for name, gradient in gradients.items():
        assert (gradient - expected[name]).norm() < 1e-5 * expected[name].norm(), name
    assert measures["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-5)
    assert measures["positives"] == pytest.approx(one["positives"]) and one["positives"] > 1


def test_each_process_has_its_part_of_each_kind() -> None:
    """All of them together have every item once; kinds are in proportion."""
    keys = [(0, item) for item in (*range(5), *range(10, 17))]
    fabrics: list[Any] = [SimpleNamespace(world_size=3, global_rank=rank) for rank in range(3)]
    parts = [processes.own_plan(lambda _: [keys], fabric, lambda key: key[1] < 10)(0)[0] for fabric in fabrics]
    assert sorted(key for part in parts for key in part) == keys
    assert [[sum(item < 10 for _, item in part), len(part)] for part in parts] == [[1, 3], [2, 4], [2, 5]]
    one: Any = SimpleNamespace(world_size=1, global_rank=0)
    assert processes.own_plan(lambda _: [keys], one)(0) == [keys]


def test_a_last_batch_that_is_too_small_to_share() -> None:
    fabric: Any = SimpleNamespace(world_size=3)
    processes.require_shares([(0, 0), (0, 1), (0, 2)], fabric, "--batch")
    with pytest.raises(SwclError, match="last batch has 2 photographs, too few for 3 processes: take another --batch"):
        processes.require_shares([(0, 0), (0, 1)], fabric, "--batch")


def test_losses_of_labeler_and_tasks_are_of_the_whole_batch(tmp_path: Path) -> None:
    """Loss and gradient are those of one process, though the processes have unequally many known labels and pixels;
    the mean of the parts would be others.
    """
    done = torchrun(2, objectives_in_processes.__file__, str(tmp_path / "found.pt"))
    assert done.returncode == 0, done.stderr
    found, expected = torch.load(tmp_path / "found.pt"), objectives_in_processes.step()
    assert found.keys() == expected.keys()
    for name, (gradient, loss) in found.items():
        whole, one = expected[name]
        assert loss == pytest.approx(one, rel=1e-6), name
        assert (gradient - whole).norm() < 1e-5 * whole.norm(), name
    parts = [objectives_in_processes.of_items(part) for part in ([0, 1, 4], [2, 3, 5, 6])]
    for name, (gradient, _) in expected.items():
        mean = torch.stack([part[name][0] for part in parts]).mean(dim=0)
        assert (mean - gradient).norm() > 0.01 * gradient.norm(), name


def test_one_process_gathers_its_own_rows() -> None:
    rows = torch.arange(6.0).view(3, 2)
    gathered, own = gather_rows(rows)
    assert gathered is rows and own == (0, 3)


def test_a_step_for_one_process_refuses_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TorchElasticEnvironment, "detect", lambda: True)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(SwclError, match="works in one process, but torchrun has started 4"):
        make_fabric("cpu", "fp32")


def test_batch_norm_is_refused_in_several_processes_on_cpus() -> None:
    fabric: Any = SimpleNamespace(world_size=2, device=torch.device("cpu"))
    with pytest.raises(SwclError, match="BatchNorm can't be exact in several processes on CPUs"):
        processes.joined_batch_norm(torch.nn.BatchNorm2d(3), fabric)
    grouped = torch.nn.GroupNorm(1, 3)
    assert processes.joined_batch_norm(grouped, fabric) is grouped


def test_a_gpu_that_is_asked_for_and_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    for built, why in ((False, "this PyTorch is built for CPUs alone"), (True, "PyTorch finds no GPU")):
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda built=built: built)
        with pytest.raises(SwclError, match=f"--accelerator gpu: {why}.*--accelerator cpu"):
            make_fabric("gpu", "fp32")


@pytest.mark.parametrize("hidden", [None, "", "-1"])
def test_a_gpu_that_lies_idle_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hidden: str | None
) -> None:
    """Unless it was hidden on purpose, or the CPU was asked for."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(processes, "NVIDIA", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    processes._warn_of_idle_gpus.cache_clear()
    make_fabric("auto", "fp32")
    assert capsys.readouterr().err == ""  # no GPU is here
    (tmp_path / "0000:01:00.0").touch()
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    processes._warn_of_idle_gpus.cache_clear()
    make_fabric("cpu", "fp32")
    assert capsys.readouterr().err == ""
    make_fabric("auto", "fp32")
    make_fabric("auto", "fp32")
    assert capsys.readouterr().err.count("warning: This machine has a GPU, but ") == (hidden is None)
    processes._warn_of_idle_gpus.cache_clear()


def test_devices_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert processes.device_name(make_fabric("cpu", "fp32")) == "the CPU (2 threads)"
