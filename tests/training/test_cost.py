"""What is said before the first step of a training that a CPU would take long for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swcl_cli.settings import FinetuneSettings, PretrainSettings, TrainingSettings, TrainLabelerSettings
from swcl_cli.settings.resolve import resolve
from swcl_cli.training import cost
from swcl_cli.training.processes import make_fabric

FABRIC = make_fabric("cpu", "fp32")


class Clock:
    """Each forward pass takes as many seconds as it is told to."""

    now = 0.0

    @classmethod
    def perf_counter(cls) -> float:
        return cls.now


class Slow(nn.Module):
    def __init__(self, *seconds: float) -> None:
        super().__init__()
        self.seconds, self.seen = list(seconds), [(0, 0)]
        self.norm = nn.BatchNorm2d(3)

    def forward(self, views: Tensor) -> Tensor:
        Clock.now += self.seconds[len(self.seen) - 1]
        self.seen.append((len(views), views.shape[-1]))
        normed: Tensor = self.norm(views)
        return normed


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "time", Clock)


def said(
    capsys: pytest.CaptureFixture[str],
    settings: TrainingSettings,
    network: nn.Module,
    views: int,
    trainings: int = 1,
    **device: Any,
) -> str:
    fabric: Any = SimpleNamespace(device=torch.device("cpu"), world_size=1, autocast=FABRIC.autocast)
    vars(fabric).update(device)
    cost.foretell(fabric, settings, network, torch.ones(1, 3, 32, 32), views, trainings)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("views", "words"),
    [
        (399, ""),  # 3 passes of 0.5 s: ten minutes less 1.5 s
        (400, "about 10 minutes, for 400 views."),
        (2_400, "about 60 minutes, for 2,400 views."),
        (96_000, "about 40 hours"),
        (1_000_000, "about 17 days, for 1,000,000 views."),
    ],
)
def test_three_forward_passes_a_view(capsys: pytest.CaptureFixture[str], views: int, words: str) -> None:
    network = Slow(9.0, 0.5)  # the first pass of a process is slower
    warning = said(capsys, TrainLabelerSettings(), network, views)
    assert words in warning if words else warning == ""
    assert network.seen[1:] == [(1, 32), (1, 32)]


@pytest.mark.parametrize(
    ("views", "trainings", "words"),
    [
        (79, 5, ""),
        (80, 5, "each of 5 trainings may take about 2 minutes, for 80 views; all of them 10 minutes."),
        (20, 60, "each of 60 trainings may take about 1 minute, for 20 views; all of them 30 minutes."),
        (96_000, 5, "each of 5 trainings may take about 40 hours, for 96,000 views; all of them 8 days."),
    ],
)
def test_all_trainings_of_a_command_count(
    capsys: pytest.CaptureFixture[str], views: int, trainings: int, words: str
) -> None:
    warning = said(capsys, TrainLabelerSettings(), Slow(0.5, 0.5), views, trainings)
    assert words in warning if words else warning == ""


def test_it_leaves_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    network, state = Slow(1.0, 1.0), torch.get_rng_state()
    network.train()
    network.norm.eval()  # a frozen part
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert said(capsys, TrainLabelerSettings(), network, 10_000)
    assert network.training and not network.norm.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("model", "row"),
    [(TrainLabelerSettings, {}), (PretrainSettings, {"method": "byol"}), (FinetuneSettings, {"task": "drive"})],
)
def test_the_preset_for_cpus_is_named_where_it_is_shorter(
    capsys: pytest.CaptureFixture[str], model: type[TrainingSettings], row: dict[str, str]
) -> None:
    for preset, hint in (("paper", True), (None, True), ("small", False)):
        settings = resolve(model, row, preset).settings
        assert said(capsys, settings, Slow(1.0, 1.0), 10_000).endswith("--preset small is made for CPUs.\n") == hint


def test_processes_share_the_work_and_gpus_are_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert "about 8 hours" in said(capsys, TrainLabelerSettings(), Slow(1.0, 1.0), 10_000)
    assert "about 4 hours" in said(capsys, TrainLabelerSettings(), Slow(1.0, 1.0), 10_000, world_size=2)
    assert said(capsys, TrainLabelerSettings(), Slow(), 10_000, device=torch.device("cuda")) == ""
    assert said(capsys, TrainLabelerSettings(), Slow(), 0) == ""


def test_views_in_chunks_are_encoded_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert "about 30 hours" in said(capsys, TrainLabelerSettings(), Slow(1.0, 1.0), 36_000)
    assert "about 40 hours" in said(capsys, TrainLabelerSettings(chunk=8), Slow(1.0, 1.0), 36_000)
