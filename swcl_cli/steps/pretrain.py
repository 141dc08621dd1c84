"""Pretrain an encoder by one of the methods (paper III-C): the step `pretrain`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from swcl_cli import console, methods
from swcl_cli.data.loaders import Key, Plan, step_batches
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.embeddings import is_collapsed
from swcl_cli.methods.method import Method
from swcl_cli.models.encoders import encoder_state, in_its_memory_format
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.checkpoints import TrainState
from swcl_cli.training.cost import foretell
from swcl_cli.training.loop import Step, parameter_groups, training_steps
from swcl_cli.training.probe import Probe
from swcl_cli.training.processes import device_name, joined_batch_norm, make_fabric
from swcl_cli.training.run import Run, is_begun
from swcl_cli.training.schedules import count_steps, warmup_cosine
from swcl_cli.workspace import Workspace, is_done, provenance, require_own, write_safetensors


def run(settings: PretrainSettings) -> Path:
    """Train, and write the encoder alone, under timm's keys; return the path of its NAME.safetensors.

    Under torchrun all processes train as one: each takes its part of every batch.
    """
    workspace = Workspace(settings.workspace)
    name = settings.name or settings.method
    target = workspace.encoder(name)
    require_own(target, "pretrain")
    method = methods.prepare(settings, workspace)
    work = provenance("pretrain", {**settings.defining(), "architecture": method.architecture}, method.inputs)
    folder = workspace.adopt(workspace.pretraining(name)).folder
    if not is_begun(folder, work) and is_done(target, work, settings.fresh):
        console.say(f"{target.name} is already trained with these settings and data.")
        return target
    probe = _probe(settings, workspace, method)

    fabric = make_fabric(settings.accelerator, settings.precision, several=True)
    plan = _own_part(method, fabric)
    objective = fabric.setup_module(joined_batch_norm(method.objective, fabric))
    in_its_memory_format(method.objective, method.encoder)
    optimizer = torch.optim.AdamW(parameter_groups(method.objective, settings.weight_decay), lr=settings.learning_rate)
    optimizer.register_step_pre_hook(lambda *_: method.before_update())
    total = count_steps(settings.epochs, method.steps_per_epoch, settings.views, method.views_a_step)
    warmup = round(total * settings.warmup_epochs / settings.epochs)
    console.say(
        f"{method.summary}; {total:,} steps ({total / method.steps_per_epoch:.3g} epochs of "
        f"{method.steps_per_epoch:,}) at {method.image_size} px, on {device_name(fabric)}."
    )
    state = TrainState(method.objective, optimizer)
    job = Run(fabric, folder, work, state, settings.save_seconds, settings.fresh)
    one = torch.zeros(1, 3, method.image_size, method.image_size)
    foretell(fabric, settings, method.encoder, one, (total - state.step) * method.views_a_step)
    batches = _announced(
        step_batches(method.dataset, plan, state.step, total, settings.workers, method.collate), method, state.step
    )
    steps = training_steps(
        fabric, objective, optimizer, batches,
        lambda step: settings.learning_rate * warmup_cosine(step, warmup, total), settings.seed, state.step,
        to_save_memory=_smaller(settings, method, fabric),
    )  # fmt: skip
    for step in job.follow(steps, total, method.views_a_step):
        method.after_step(step.index)
        epoch, place = divmod(step.index + 1, method.steps_per_epoch)
        if place == 0 or step.index + 1 == total:
            _warn_of_collapse(step, epoch)
            due = epoch % (settings.probe_every or 1) == 0 or step.index + 1 == total
            if probe and due and fabric.is_global_zero:
                measured = probe.measure(fabric, method.encoder, settings.workers)
                job.log(epoch=epoch - 1, **measured)
                console.say(
                    f"Epoch {epoch}: k-NN AUC {measured['knn_auc']:.3f} "
                    f"({measured['knn_low']:.3f} to {measured['knn_high']:.3f})."
                )
    description = {
        "architecture": method.architecture, "image_size": method.image_size, "mean": method.mean, "std": method.std,
    }  # fmt: skip
    if fabric.is_global_zero:
        write_safetensors(target, encoder_state(method.encoder), {**work, "encoder": description})
    job.finish()
    return target


def _own_part(method: Method, fabric: Fabric) -> Plan:
    """Return the plan of this process: an equal, connected part of each batch.

    Raises SwclError where the batch can't be shared equally.
    """
    items, parts = method.items_a_step, fabric.world_size
    if items % parts:
        nearest = parts * max(1, items // parts)
        batch = nearest * method.views_a_step // items // method.views
        raise SwclError(f"A batch of {items} can't be shared by {parts} processes: take {method.batch_option} {batch}.")
    size = items // parts
    start = size * fabric.global_rank

    def own(step: int) -> list[list[Key]]:
        return [keys[start : start + size] for keys in method.plan(step)]

    return own


def _smaller(settings: PretrainSettings, method: Method, fabric: Fabric) -> str:
    """Name the setting to change where memory does not suffice: --chunk where the method has it, else the batch."""
    if "chunk" in settings.foreign():
        return f"a smaller {method.batch_option}"
    return f"--chunk {max(1, (settings.chunk or method.views_a_step // fabric.world_size) // 2)}"


def _announced(batches: Iterator[Any], method: Method, first: int) -> Iterator[Any]:
    """Pass the batches through, and call the method's before_step ahead of each."""
    for step, batch in enumerate(batches, first):
        method.before_step(step)
        yield batch


def _probe(settings: PretrainSettings, workspace: Workspace, method: Method) -> Probe | None:
    """Build the k-NN probe; None where it is off, or where it is on by default but its default data set can't be used.

    Raises SwclError where the settings ask for a probe whose data can't be used.
    """
    if not settings.probe_every:
        return None
    try:
        probe = Probe.of(workspace, settings.probe_data, method.image_size, method.mean, method.std)
    except SwclError as error:
        if {"probe_data", "probe_every"} & settings.model_fields_set:
            raise
        console.say(f"No k-NN probe: {error}")
        return None
    console.say(f"k-NN probe every {settings.probe_every} epochs: {probe.summary}.")
    if settings.teaches_the_probe:
        console.say(
            f"{settings.method} trains on all photographs of {settings.probe_data}, with their labels: "
            "the probe looks at some that it has seen."
        )
    return probe


def _warn_of_collapse(step: Step, epoch: int) -> None:
    """Warn where the embeddings of the last step are nearly all equal."""
    spread = step.metrics["embedding_spread"]
    if is_collapsed(spread):
        console.warn(
            f"Epoch {epoch}: the embeddings have collapsed (spread {spread:.2f}; 1 is uniform). Lower --learning-rate."
        )
