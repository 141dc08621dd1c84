"""Pretrain an encoder by one of the methods (paper III-C): the step `pretrain`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor

from swcl_cli import console, methods
from swcl_cli.errors import SwclError
from swcl_cli.methods.method import Method
from swcl_cli.models.asking import require_size
from swcl_cli.models.encoders import encoder_state, require_network
from swcl_cli.pretraining.fitting import fit
from swcl_cli.pretraining.grid import Search, is_searching, with_rates, work_of
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.grid import Rates
from swcl_cli.training.probe import Probe
from swcl_cli.training.processes import make_fabric
from swcl_cli.training.run import is_begun
from swcl_cli.workspace import RunFolder, Workspace, is_done, locked, read_provenance, require_own, write_safetensors


def run(settings: PretrainSettings) -> Path:
    """Train, and write the encoder alone, under timm's keys; return the path of its NAME.safetensors.

    With --grid the rates are chosen first. Under torchrun all processes train as one: each takes its part of every
    batch.
    """
    if settings.architecture is not None:
        require_network(settings.architecture)
    workspace = Workspace(settings.workspace)
    name = settings.name or settings.method
    target = workspace.encoder(name)
    require_own(target, "pretrain")
    method = methods.prepare(settings, workspace)
    require_size(method.encoder, method.architecture, method.image_size, "views")
    folder = workspace.adopt(workspace.pretraining(name))
    work = work_of(_as_chosen(settings, target), method, workspace)
    begun = is_begun(folder.folder, work) or (settings.grid and is_searching(folder))
    if not begun and is_done(target, work, settings.fresh):
        console.say(f"{target.name} is already trained with these settings and data.")
        return target
    probe = _probe(settings, workspace, method)
    fabric = make_fabric(settings.accelerator, settings.precision, several=True)
    if fabric.is_global_zero:
        method.left_out.tell(folder.left_out, method.learning)
    if not (settings.grid and probe):
        _train(settings, method, probe, fabric, folder, work, target)
        return target
    search = Search(settings, workspace, folder, probe, fabric)
    with locked(folder.folder, "pretrain") if fabric.is_global_zero else nullcontext():
        settings = with_rates(settings, search.best())
        work = {**work_of(settings, method, workspace), "grid": search.points()}
        if settings.grid_share < 1:
            _train(settings, methods.prepare(settings, workspace), probe, fabric, folder, work, target)
        elif fabric.is_global_zero:
            _write(target, search.take(settings), method, work)
        search.clear()
    return target


def _train(
    settings: PretrainSettings,
    method: Method,
    probe: Probe | None,
    fabric: Fabric,
    folder: RunFolder,
    work: Mapping[str, Any],
    target: Path,
) -> None:
    """Train to the end, and write the encoder."""
    job, _ = fit(settings, method, probe, fabric, folder.folder, work)
    if fabric.is_global_zero:
        _write(target, encoder_state(method.encoder), method, work)
    job.finish()


def _write(path: Path, weights: Mapping[str, Tensor], method: Method, work: Mapping[str, Any]) -> None:
    """Write an encoder of the method's architecture, with its provenance."""
    description = {
        "architecture": method.architecture, "image_size": method.image_size, "mean": method.mean, "std": method.std,
    }  # fmt: skip
    write_safetensors(path, weights, {**work, "encoder": description})


def _as_chosen(settings: PretrainSettings, target: Path) -> PretrainSettings:
    """Return the settings with the rates that a grid has chosen for this artefact, where one has."""
    told = read_provenance(target)["settings"] if settings.grid and target.exists() else {}
    if not told.get("grid"):
        return settings
    return with_rates(settings, Rates(told["learning_rate"], told["weight_decay"]))


def _probe(settings: PretrainSettings, workspace: Workspace, method: Method) -> Probe | None:
    """Build the k-NN probe; None where it is off, or where it is on by default but its default data set can't be used.

    Raises SwclError where the settings ask for a probe, or a choice by it, whose data can't be used.
    """
    if not settings.probe_every and not settings.grid:
        return None
    try:
        probe = Probe.of(workspace, settings.probe_data, method.image_size, method.mean, method.std)
    except SwclError as error:
        if settings.grid or {"probe_data", "probe_every"} & settings.model_fields_set:
            raise
        console.say(f"No k-NN probe: {error}")
        return None
    often = f"every {settings.probe_every} epochs" if settings.probe_every else "at the end of each point"
    console.say(f"k-NN probe {often}: {probe.summary}.")
    if settings.teaches_the_probe:
        console.say(
            f"{settings.method} trains on all photographs of {settings.probe_data}, with their labels: "
            "the probe looks at some that it has seen."
        )
    return probe
