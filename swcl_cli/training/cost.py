"""Say before the first step how long a training may take on a CPU."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from swcl_cli import console
from swcl_cli.settings import ROW_KEY, TrainingSettings
from swcl_cli.settings.resolve import resolve

PASSES = 3  # a step takes about as long as three forward passes: one there, and two for the gradients
TOLD_FROM = 600  # seconds
UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"))
SMALL = "small"  # the preset for CPUs


def foretell(
    fabric: Fabric, settings: TrainingSettings, module: nn.Module, one: Any, views: int, trainings: int = 1
) -> None:
    """Say where training `module` on so many views, so many times, takes this CPU more than ten minutes.

    The time is that of `module(one)`, one of a view, in evaluation mode and without any random draw, so that the
    training that follows is the same.
    """
    if fabric.device.type != "cpu" or views <= 0:
        return
    passes = PASSES + bool(getattr(settings, "chunk", 0))  # views in chunks are encoded twice
    seconds = passes * _forward_pass(fabric, module, one) * views / fabric.world_size
    if seconds * trainings < TOLD_FROM:
        return
    work, whole = "the training", ""
    if trainings > 1:
        work, whole = f"each of {trainings} trainings", f"; all of them {_duration(trainings * seconds)}"
    took = f"may take about {_duration(seconds)}, for {views:,} views"
    console.say(f"On this CPU {work} {took}{whole}.{_hint(settings)}")


@torch.inference_mode()
def _forward_pass(fabric: Fabric, module: nn.Module, one: Any) -> float:
    """Return the seconds that a forward pass takes, the better of two."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        with fabric.autocast():
            module(one)
        seconds.append(time.perf_counter() - started)
    for part, training in modes.items():
        part.training = training
    return min(seconds)


def _duration(seconds: float) -> str:
    """Say a duration in the largest unit of which it has two, or in minutes."""
    size, unit = next((size, unit) for size, unit in UNITS if seconds >= 2 * size or unit == "minutes")
    return f"{max(seconds / size, 1):,.0f} {unit if round(seconds / size) > 1 else unit[:-1]}"


def _hint(settings: TrainingSettings) -> str:
    """Name the preset for CPUs, unless this training is of its network and no longer."""
    key = ROW_KEY.get(settings.step, "")
    row = {key: getattr(settings, key)} if key else {}
    small, this = (vars(each) for each in (resolve(type(settings), row, SMALL).settings, settings))
    is_small = small["architecture"] == this["architecture"] and small["epochs"] >= this["epochs"]
    return "" if is_small else f" --preset {SMALL} is made for CPUs."
