"""Train the semi-supervised classifier whose activation maps become weak labels (paper III-A): `train-labeler`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from swcl_cli import console
from swcl_cli.audit.without_tests import without_tests
from swcl_cli.data import colour
from swcl_cli.data.colour import Colour
from swcl_cli.data.columns import LABELER_SCORES
from swcl_cli.data.labeler_views import UNLABELLED, LabelerData, LabelerViews, labeler_plan, read_photographs
from swcl_cli.data.loaders import Key, make_loader, step_batches, workers_for
from swcl_cli.data.photographs import Squares
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.intervals import interval
from swcl_cli.evaluation.metrics import auc, binary_outcomes, reliability
from swcl_cli.evaluation.resampling import auc_measure
from swcl_cli.losses.triplet import triplet
from swcl_cli.models.encoders import require_network
from swcl_cli.models.initialisation.starting_labelers import starting_labeler
from swcl_cli.settings import TrainLabelerSettings
from swcl_cli.settings.labelled_sets import data_set
from swcl_cli.training.checkpoints import TrainState
from swcl_cli.training.chunks import encode_in_chunks, mixed_chunks
from swcl_cli.training.cost import foretell
from swcl_cli.training.loop import create_optimizer, parameter_groups, training_steps
from swcl_cli.training.processes import (
    device_name,
    joined_batch_norm,
    make_fabric,
    of_all_processes,
    own_plan,
    require_shares,
)
from swcl_cli.training.run import Run, is_begun
from swcl_cli.training.schedules import linear_warmup, step_decay, warmup_cosine
from swcl_cli.workspace import Workspace, is_done, provenance, require_own, write_parquet, write_safetensors

VALIDATION_BATCH = 32
SCORE = "validation score"  # beside the weights that are kept, of the same epoch


class S4L(nn.Module):
    """Compute L = cross-entropy of the labelled views + w * triplet loss of all views (paper III-A).

    Views of one image are each other's positives. Batch statistics are of all views together, or of a chunk's, which
    mixes labelled and unlabelled as the batch does (FACTS B5). Without unlabelled data sets it is the cross-entropy
    alone. Of several processes each encodes its part of the batch, and computes the loss of all of it.
    """

    network: Any  # a ResNet of timm's
    scale: Tensor
    shift: Tensor

    def __init__(
        self, network: nn.Module, settings: TrainLabelerSettings, colours: tuple[Colour, Colour] | None = None
    ) -> None:
        """colours: the constants of weights that bring their own; by default those of the settings."""
        super().__init__()
        self.network = network
        self.settings = settings
        mean, std = (np.array(values)[:, None, None] for values in colours or colour.constants(settings.colours))
        for name, values in (("scale", 1 / (255 * std)), ("shift", mean / std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its parts.

        batch: views uint8 (B, V, 3, S, S), label (B,) with -1 = unlabelled, item (B,).
        """
        count = batch["views"].shape[1]
        own = self._pool(batch["views"], batch["label"] != UNLABELLED)
        pooled = of_all_processes(own)  # (BV, C)
        logits = self.network.fc(pooled)  # (BV, 2)
        label = of_all_processes(batch["label"]).repeat_interleave(count)
        labelled = label != UNLABELLED
        classification = cross_entropy(logits[labelled].float(), label[labelled])
        metrics = {"cross_entropy": classification.detach()}
        if not self.settings.unlabelled:
            return classification, metrics
        identity = of_all_processes(batch["item"]).repeat_interleave(count)
        settings = self.settings
        alike = triplet(pooled.float(), identity, settings.mining, settings.margin, settings.soft_margin)
        return classification + settings.triplet_weight * alike, {**metrics, "triplet": alike.detach()}

    def _pool(self, views: Tensor, labelled: Tensor) -> Tensor:
        """Compute pooled features (BV, C) of views (B, V, 3, S, S): of all at once, or in mixed chunks."""
        images, chunk = views.flatten(0, 1), self.settings.chunk

        def encode(rows: Tensor) -> Tensor:
            return pool(self.network, self._normalised(images[rows]))

        if not chunk or len(images) <= chunk:
            return pool(self.network, self._normalised(images))
        chunks = mixed_chunks(labelled, views.shape[1], chunk)
        return encode_in_chunks(encode, chunks, self.network)[torch.cat(chunks).argsort()]

    def _normalised(self, images: Tensor) -> Tensor:
        """Normalise bytes, with the roundings of `data.augment.normalise`."""
        return images.float().mul_(self.scale).sub_(self.shift)


def pool(network: Any, images: Tensor) -> Tensor:
    """Compute pooled features (N, C) of images (N, 3, H, W)."""
    pooled: Tensor = network.forward_head(network.forward_features(images), pre_logits=True)
    return pooled


def pool_and_classify(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Compute pooled features (N, C) and logits (N, 2) of images (N, 3, H, W)."""
    pooled = pool(network, images)
    return pooled, network.fc(pooled)


def run(settings: TrainLabelerSettings) -> Path:
    """Train and validate the labeler; return the path of labeler.safetensors.

    An interrupted run is resumed. A finished one with the same settings and data is not repeated. Under torchrun all
    processes train as one: each takes its part of the labelled and of the unlabelled photographs of every batch.
    """
    require_network(settings.architecture)
    workspace = Workspace(settings.workspace)
    require_own(workspace.labeler, "train-labeler")
    names = [*map(data_set, settings.labelled), *settings.unlabelled]
    left_out = without_tests(workspace, settings.without_tests, names)
    photographs = read_photographs(workspace, settings, left_out)
    start = starting_labeler(
        settings.init, settings.architecture, colours=settings.colours, seed=settings.seed,
        last_norm=settings.last_norm, sizes=(settings.crop, photographs.size), workspace=settings.workspace,
    )  # fmt: skip
    photographs = replace(photographs, mean=start.mean, std=start.std, inputs={**photographs.inputs, **start.inputs})
    copies = {"copies_left_out": photographs.copies} if photographs.copies else {}
    chosen = {**settings.defining(), **copies, **left_out.setting}
    work = provenance("train-labeler", chosen, photographs.inputs, **left_out.facts)
    folder = workspace.labeler_run.folder
    if not is_begun(folder, work) and is_done(workspace.labeler, work, settings.fresh):
        console.say("The labeler is already trained with these settings and data.")
        return workspace.labeler

    for sentence in photographs.cautions:
        console.warn(sentence)
    fabric = make_fabric(settings.accelerator, settings.precision, several=True)
    if fabric.is_global_zero:
        left_out.tell(workspace.labeler_run.left_out, names)
    colours = (photographs.mean, photographs.std)
    objective = S4L(start.network, settings, colours)
    joined_batch_norm(objective, fabric).to(memory_format=torch.channels_last)
    prepared = fabric.setup_module(objective)
    groups = parameter_groups(objective, settings.weight_decay)
    optimizer = create_optimizer(settings.optimizer, groups, settings.learning_rate)
    if start.summary:
        console.say(f"Labeler: {start.summary}.")
    plan, steps = labeler_plan(settings, len(photographs.labelled), len(photographs.unlabelled))

    def is_labelled(key: Key) -> bool:
        return key[1] < len(photographs.labelled)

    require_shares(plan(steps - 1)[-1], fabric, "--batch-labelled", is_labelled)
    total = steps * settings.epochs
    images = settings.batch_labelled + (settings.batch_unlabelled if len(photographs.unlabelled) else 0)
    forward = settings.views * images
    views = settings.accumulate * forward
    console.say(
        f"{len(photographs.labelled):,} labelled, {len(photographs.unlabelled):,} unlabelled, "
        f"{len(photographs.validation):,} validation photographs; "
        f"{total:,} steps ({settings.epochs} epochs) of up to {views:,} views"
        f"{f', {settings.chunk} encoded at a time' if 0 < settings.chunk < forward else ''}, on {device_name(fabric)}."
    )
    if photographs.copies:
        console.say(
            f"Left out of training, as pixel-by-pixel copies of validation photographs: {photographs.copies:,}."
        )
    state = TrainState(objective, optimizer)
    job = Run(fabric, folder, work, state, settings.save_seconds, settings.fresh, settings.tensorboard)
    one = torch.zeros(1, 3, settings.crop, settings.crop)
    foretell(fabric, settings, objective.network, one, (total - state.step) * views)
    own = own_plan(plan, fabric, is_labelled)
    drawn = step_batches(LabelerViews(photographs, settings), own, state.step, total, settings.workers)
    batches = job.watched(drawn, photographs)
    smaller = f"--chunk {max(settings.least_chunk, min(settings.chunk or forward, forward) // 2)}"
    trained = training_steps(
        fabric, prepared, optimizer, batches, _rate_of_step(settings, steps), settings.seed, state.step, smaller,
        settings.clip,
    )  # fmt: skip
    for step in job.follow(trained, total, views):
        if (step.index + 1) % steps == 0 and fabric.is_global_zero:
            epoch = step.index // steps
            score = validate(fabric, objective, photographs, settings)
            measured = judge(score, photographs.validated)
            job.log(epoch=epoch, **measured)
            state.notes = _note(state.notes, epoch, measured)
            if settings.keep == "last" or state.notes["best_epoch"] == epoch:
                weights = objective.network.state_dict() if settings.keep == "best" else {}
                state.kept = {SCORE: torch.from_numpy(score), **{key: value.clone() for key, value in weights.items()}}

    if fabric.is_global_zero:
        _write(workspace, settings, photographs, objective, state, work)
    job.finish()
    return workspace.labeler


def _write(
    workspace: Workspace,
    settings: TrainLabelerSettings,
    photographs: LabelerData,
    objective: S4L,
    state: TrainState,
    work: dict[str, Any],
) -> None:
    """Write the scores of the validation photographs and the labeler, and say how well it does."""
    score = state.kept.pop(SCORE).numpy()
    if settings.keep == "best":
        objective.network.load_state_dict(state.kept)
    validated = photographs.validated.rename(columns={"abnormal": "truth"}).assign(score=score)
    write_parquet(workspace.labeler_scores, LABELER_SCORES.table(validated[LABELER_SCORES.names]), work)
    write_safetensors(
        workspace.labeler,
        objective.network.state_dict(),
        {**work, "labeler": photographs.description(settings), "validation": state.notes},
    )
    notes = state.notes
    console.say(
        f"Validation AUC {notes['auc']:.3f} (95 % interval {notes['auc_low']:.3f} to {notes['auc_high']:.3f}) "
        f"after the last epoch; best {notes['best_auc']:.3f} after epoch {notes['best_epoch'] + 1:.0f}. "
        f"Kept: {settings.keep}."
    )


@torch.inference_mode()
def validate(
    fabric: Fabric, objective: S4L, photographs: LabelerData, settings: TrainLabelerSettings
) -> NDArray[np.float32]:
    """Score the central squares of the validation photographs: (N,) probabilities of abnormal.

    Raises SwclError where a score is not finite.
    """
    objective.eval()
    squares = Squares(photographs.validation, photographs.mean, photographs.std)
    scores = []
    workers = workers_for(len(squares.photographs), settings.workers)
    for images in make_loader(squares, squares.batches(VALIDATION_BATCH), workers):
        with fabric.autocast():
            _, logits = pool_and_classify(objective.network, fabric.to_device(images))
        scores.append(logits.float().softmax(dim=1)[:, 1].cpu().numpy())
    score = np.concatenate(scores)
    if not np.isfinite(score).all():
        raise SwclError(
            "The labeler's scores of the validation photographs are not finite. The last saved state is kept; "
            "lower --learning-rate, or use --precision fp32."
        )
    return score


def judge(score: NDArray[np.float32], validated: pd.DataFrame) -> dict[str, float]:
    """Return the AUC with its interval over patients, outcomes at 0.5, and the expected calibration error."""
    truth = validated["abnormal"].to_numpy(dtype=bool)
    low, high = interval(auc_measure(truth, score), (validated["dataset"] + "/" + validated["group_id"]).to_numpy(str))
    error = reliability(truth, score).expected_calibration_error
    return {
        "auc": auc(truth, score), "auc_low": low, "auc_high": high,
        **binary_outcomes(truth, score), "expected_calibration_error": error,
    }  # fmt: skip


def _rate_of_step(settings: TrainLabelerSettings, steps: int) -> Callable[[int], float]:
    """Return the learning rate as a function of the step, of epochs of `steps` steps."""
    warming, total = settings.warmup_epochs * steps, settings.epochs * steps
    if settings.schedule == "cosine":
        return lambda step: settings.learning_rate * warmup_cosine(step, warming, total)
    return lambda step: (
        settings.learning_rate * linear_warmup(step, warming) * step_decay(step // steps, settings.milestones)
    )


def _note(notes: dict[str, float], epoch: int, measured: dict[str, float]) -> dict[str, float]:
    """Return the notes after an epoch: its AUC with the interval, and the best epoch so far with its AUC."""
    best = notes if "best_auc" in notes and notes["best_auc"] >= measured["auc"] else None
    return {
        **{key: measured[key] for key in ("auc", "auc_low", "auc_high")},
        "best_auc": best["best_auc"] if best else measured["auc"],
        "best_epoch": best["best_epoch"] if best else epoch,
    }
