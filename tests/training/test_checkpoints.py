"""The resume state: what comes back is what was saved, to the bit, and goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from swcl_cli.errors import SwclError
from swcl_cli.training.checkpoints import TrainState, load_state, save_state
from swcl_cli.training.loop import parameter_groups
from swcl_cli.workspace import read_provenance

WORK = {"step": "pretrain", "settings": {"seed": 0, "epochs": 3}, "inputs": {"swap": "a"}, "versions": {"swcl": "0"}}
OPTIMIZERS: dict[str, Callable[[Iterable[Any]], Optimizer]] = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.1),
}


def fresh_state(optimizer: str, seed: int = 0) -> TrainState:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    module.to(memory_format=torch.channels_last)
    return TrainState(module, OPTIMIZERS[optimizer](parameter_groups(module, 0.1)))


def step(state: TrainState) -> float:
    torch.manual_seed(state.step)
    state.optimizer.zero_grad()
    images = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)
    loss = state.module(images).square().mean()
    loss.backward()
    state.optimizer.step()
    state.step += 1
    return float(loss.detach())


def order(tensor: Tensor) -> list[int]:
    """Strides of the dimensions that have more than one place."""
    return [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_going_on_from_a_file_is_going_on(tmp_path: Path, optimizer: str) -> None:
    state = fresh_state(optimizer)
    for _ in range(3):
        step(state)
    state.notes, state.kept = {"best": 1 / 3, "best_epoch": 2}, {"0.weight": torch.ones(2, 3)}
    save_state(tmp_path / "resume.safetensors", state, WORK)

    other = fresh_state(optimizer, seed=9)
    load_state(tmp_path / "resume.safetensors", other, WORK)
    assert (other.step, other.notes) == (3, {"best": 1 / 3, "best_epoch": 2})
    assert other.kept.keys() == {"0.weight"} and torch.equal(other.kept["0.weight"], torch.ones(2, 3))
    assert [step(other) for _ in range(3)] == [step(state) for _ in range(3)]
    for name, tensor in state.module.state_dict().items():
        assert torch.equal(other.module.state_dict()[name], tensor), name
    assert int(other.module.state_dict()["1.num_batches_tracked"]) == 6

    save_state(tmp_path / "a.safetensors", state, WORK)
    save_state(tmp_path / "b.safetensors", other, WORK)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_optimizer_s_state_comes_back_in_its_weight_s_memory_format(tmp_path: Path, optimizer: str) -> None:
    """A sum over another order of memory is another sum."""
    state, other = fresh_state(optimizer), fresh_state(optimizer)
    step(state)
    save_state(tmp_path / "resume.safetensors", state, WORK)
    load_state(tmp_path / "resume.safetensors", other, WORK)
    saved, loaded = (one.optimizer.state_dict()["state"] for one in (state, other))
    assert saved.keys() == loaded.keys() == set(range(6))
    assert all(order(tensor) == [27, 1, 9, 3] for tensor in saved[0].values() if tensor.ndim)  # (4, 3, 3, 3)
    for number, values in saved.items():
        assert values.keys() == loaded[number].keys() and values
        for name, tensor in values.items():
            back = loaded[number][name]
            assert torch.equal(back, tensor) and order(back) == order(tensor) and back.dtype == tensor.dtype


def test_before_the_first_step_there_is_nothing_to_remember_but_weights(tmp_path: Path) -> None:
    state, other = fresh_state("sgd"), fresh_state("sgd", seed=1)
    save_state(tmp_path / "resume.safetensors", state, WORK)
    load_state(tmp_path / "resume.safetensors", other, WORK)
    assert (other.step, other.notes, other.kept) == (0, {}, {}) and step(other) == step(state)


def test_settings_of_the_optimizer_are_those_of_the_command(tmp_path: Path) -> None:
    state, other = fresh_state("sgd"), fresh_state("sgd")
    step(state)
    save_state(tmp_path / "resume.safetensors", state, WORK)
    before = [dict(group, params=None) for group in other.optimizer.param_groups]
    load_state(tmp_path / "resume.safetensors", other, WORK)
    assert [dict(group, params=None) for group in other.optimizer.param_groups] == before


def test_the_thread_count_is_restored(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        save_state(tmp_path / "resume.safetensors", fresh_state("sgd"), WORK)
        assert read_provenance(tmp_path / "resume.safetensors")["resume"]["threads"] == 2
        torch.set_num_threads(1)
        load_state(tmp_path / "resume.safetensors", fresh_state("sgd"), WORK)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_other_work_is_refused_and_what_differs_is_listed(tmp_path: Path) -> None:
    state = fresh_state("sgd")
    save_state(tmp_path / "resume.safetensors", state, WORK)
    other = {**WORK, "settings": {"seed": 1, "epochs": 3}, "inputs": {"swap": "b"}}
    untouched = fresh_state("sgd", seed=1)
    before = untouched.module.state_dict()["0.weight"].clone()
    with pytest.raises(
        SwclError, match=r"is of a run that differs \(seed: 0 -> 1; swap: a -> b\). Start over with --fresh"
    ):
        load_state(tmp_path / "resume.safetensors", untouched, other)
    assert torch.equal(untouched.module.state_dict()["0.weight"], before)


def test_a_damaged_state_is_told(tmp_path: Path) -> None:
    path = tmp_path / "resume.safetensors"
    save_state(path, fresh_state("sgd"), WORK)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(SwclError, match="resume.safetensors can't be read"):
        load_state(path, fresh_state("sgd"), WORK)
