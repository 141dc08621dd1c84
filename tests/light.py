"""An encoder of a few weights in place of a ResNet, for tests of the protocol around it: a run takes a fraction of a
second.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from swcl_cli.catalogue.tasks import Task
from swcl_cli.data import colour
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings
from swcl_cli.steps import finetune
from swcl_cli.tasks import runs
from swcl_cli.tasks.trial import prepare as prepare_trial
from swcl_cli.training.run import Run

CHANNELS = 512  # ResNet-18's


class LightEncoder(nn.Module):
    """(N, 3, S, S) -> (N, 512): the image's 2 x 2 means, normalised over the batch, and one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.num_features = CHANNELS
        self.pool, self.norm, self.linear = nn.AdaptiveAvgPool2d(2), nn.BatchNorm2d(3), nn.Linear(12, CHANNELS)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.linear(self.norm(self.pool(images)).flatten(1))
        return features.relu()


def initial(task: Task, settings: FinetuneSettings, seed: int) -> Initial:
    with keyed_weights(seed, "light encoder"):
        encoder = LightEncoder()
    return Initial(encoder, "resnet18", *colour.constants("rgb"), None, settings.init, {}, "light weights")


def lighten(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (runs, finetune):
        monkeypatch.setattr(module, "initialise_for", initial)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    lighten(monkeypatch)


def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(run or point, split) of each judgement from now on: its folder's name, or "" where nothing is written."""
    calls: list[tuple[str, str]] = []
    original = prepare_trial

    def prepare(*given: Any) -> Any:
        trial = original(*given)

        def judge(fabric: Any, split: str, folder: Path | None) -> Any:
            calls.append((folder.name if folder else "", split))
            return trial.judge(fabric, split, folder)

        return type(trial)(**{**vars(trial), "judge": judge})

    monkeypatch.setattr(runs, "prepare", prepare)
    return calls


def pressed(monkeypatch: pytest.MonkeyPatch, press: Callable[[], None], folder: str, step: int) -> None:
    """Calls `press` while the training of `folder` logs this step, of those counted from 1."""
    log = Run.log

    def log_and_press(self: Run, **record: Any) -> None:
        log(self, **record)
        if self.lines.path.parent.name == folder and self.state.step == step and "loss" in record:
            press()

    monkeypatch.setattr(Run, "log", log_and_press)


def state(path: Path) -> dict[str, Tensor]:
    return load_file(path)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
