"""`pretrain`: an encoder, from random weights, by one of the methods (paper III-C)."""

from __future__ import annotations

from pathlib import Path

import torch

from swcl_cli import console
from swcl_cli.data.loaders import step_batches
from swcl_cli.methods import METHODS
from swcl_cli.models.encoders import ARCHITECTURES, encoder_state
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.checkpoints import TrainState
from swcl_cli.training.loop import make_fabric, parameter_groups, training_steps
from swcl_cli.training.run import Run, is_begun
from swcl_cli.training.schedules import warmup_cosine
from swcl_cli.workspace import Workspace, is_done, provenance, write_safetensors


def run(settings: PretrainSettings) -> Path:
    """Trains and returns the path of NAME.safetensors: the encoder alone, under timm's keys."""
    workspace = Workspace(settings.workspace)
    name = settings.name or settings.method
    target = workspace.encoder(name)
    method = METHODS[settings.method](settings, workspace)
    work = provenance("pretrain", settings.defining(), method.inputs)
    folder = workspace.run(f"pretrain-{name}")
    if not is_begun(folder, work) and is_done(target, work, settings.fresh):
        console.say(f"{target.name} is already trained with these settings and data.")
        return target

    fabric = make_fabric(settings.accelerator, settings.precision)
    if ARCHITECTURES[settings.architecture].batch_norm:
        method.objective.to(memory_format=torch.channels_last)
    objective = fabric.setup_module(method.objective)
    optimizer = torch.optim.AdamW(parameter_groups(method.objective, settings.weight_decay), lr=settings.learning_rate)
    total, warmup = (method.steps_per_epoch * epochs for epochs in (settings.epochs, settings.warmup_epochs))
    console.say(
        f"{method.summary}; {total:,} steps ({settings.epochs} epochs of {method.steps_per_epoch:,}) of "
        f"{method.views_a_step:,} views at {method.image_size} px."
    )
    state = TrainState(method.objective, optimizer)
    job = Run(folder, work, state, settings.save_seconds, settings.fresh)
    batches = step_batches(method.dataset, method.plan, state.step, total, settings.workers, method.collate)
    steps = training_steps(
        fabric, objective, optimizer, batches,
        lambda step: settings.learning_rate * warmup_cosine(step, warmup, total), settings.seed, state.step,
    )  # fmt: skip
    for _ in job.follow(steps, total, method.views_a_step):
        pass
    description = {
        "architecture": settings.architecture, "image_size": method.image_size, "mean": method.mean, "std": method.std,
    }  # fmt: skip
    write_safetensors(target, encoder_state(method.encoder), {**work, "encoder": description})
    job.finish()
    return target
