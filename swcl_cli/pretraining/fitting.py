"""Train an encoder by a method, with a probe in its course: a whole pretraining, or a point of its grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from swcl_cli import console
from swcl_cli.data.loaders import Plan, step_batches
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.embeddings import is_collapsed
from swcl_cli.methods.method import Method
from swcl_cli.models.encoders import in_its_memory_format
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.checkpoints import TrainState
from swcl_cli.training.cost import foretell
from swcl_cli.training.loop import Step, parameter_groups, training_steps
from swcl_cli.training.probe import Probe
from swcl_cli.training.processes import device_name, joined_batch_norm, own_plan
from swcl_cli.training.run import Run
from swcl_cli.training.schedules import count_steps, warmup_cosine


def fit(
    settings: PretrainSettings,
    method: Method,
    probe: Probe | None,
    fabric: Fabric,
    folder: Path,
    work: Mapping[str, Any],
) -> tuple[Run, dict[str, float]]:
    """Train to the end; return the run, to be finished once the encoder is written, and what the probe measured last.

    Log and resume state are kept in `folder`. Only the first of several processes measures, so that elsewhere nothing
    is measured.
    """
    plan = own_part(method, fabric)
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
    if warmup >= total:
        console.warn(
            f"The rate rises to the last step: {settings.warmup_epochs} --warmup-epochs of {settings.epochs} --epochs."
        )
    state = TrainState(method.objective, optimizer)
    job = Run(fabric, folder, work, state, settings.save_seconds, settings.fresh, settings.tensorboard)
    one = torch.zeros(1, 3, method.image_size, method.image_size)
    foretell(fabric, settings, method.encoder, one, (total - state.step) * method.views_a_step)
    drawn = step_batches(method.dataset, plan, state.step, total, settings.workers, method.collate)
    batches = _announced(job.watched(drawn, method), method, state.step)
    steps = training_steps(
        fabric, objective, optimizer, batches,
        lambda step: settings.learning_rate * warmup_cosine(step, warmup, total), settings.seed, state.step,
        to_save_memory=_smaller(settings, method, fabric),
    )  # fmt: skip
    measured: dict[str, float] = {}
    for step in job.follow(steps, total, method.views_a_step):
        method.after_step(step.index)
        epoch, place = divmod(step.index + 1, method.steps_per_epoch)
        last = step.index + 1 == total
        if place == 0 or last:
            _warn_of_collapse(step, epoch)
            due = last or (settings.probe_every and epoch % settings.probe_every == 0)
            if probe and due and fabric.is_global_zero:
                measured = probe.measure(fabric, method.encoder, settings.workers)
                job.log(epoch=epoch - 1, **measured)
                console.say(
                    f"Epoch {epoch}: k-NN AUC {measured['knn_auc']:.3f} "
                    f"({measured['knn_low']:.3f} to {measured['knn_high']:.3f})."
                )
    if probe and settings.grid and not measured and fabric.is_global_zero:  # it was stopped at its last step
        measured = probe.measure(fabric, method.encoder, settings.workers)
    return job, measured


def own_part(method: Method, fabric: Fabric) -> Plan:
    """Return the plan of this process: an equal, connected part of each batch.

    Raises SwclError where the batch can't be shared equally.
    """
    items, parts = method.items_a_step, fabric.world_size
    if items % parts:
        nearest = parts * max(1, items // parts)
        batch = nearest * method.views_a_step // items // method.views
        raise SwclError(f"A batch of {items} can't be shared by {parts} processes: take {method.batch_option} {batch}.")
    return own_plan(method.plan, fabric)


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


def _warn_of_collapse(step: Step, epoch: int) -> None:
    """Warn where the embeddings of the last step are nearly all equal."""
    spread = step.metrics["embedding_spread"]
    if is_collapsed(spread):
        console.warn(
            f"Epoch {epoch}: the embeddings have collapsed (spread {spread:.2f}; 1 is uniform). Lower --learning-rate."
        )
