"""Train the semi-supervised classifier whose activation maps become weak labels (paper III-A): `train-labeler`."""

from __future__ import annotations

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
from swcl_cli.data.columns import LABELER_SCORES
from swcl_cli.data.labeler_views import UNLABELLED, LabelerData, LabelerViews, labeler_plan, read_photographs
from swcl_cli.data.loaders import make_loader, step_batches
from swcl_cli.data.photographs import Squares
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.metrics import auc, binary_outcomes, bootstrap_interval, reliability
from swcl_cli.losses.triplet import triplet
from swcl_cli.models.encoders import create_labeler
from swcl_cli.settings import TrainLabelerSettings
from swcl_cli.training.checkpoints import TrainState
from swcl_cli.training.cost import foretell
from swcl_cli.training.loop import parameter_groups, training_steps
from swcl_cli.training.processes import device_name, make_fabric
from swcl_cli.training.run import Run, is_begun
from swcl_cli.training.schedules import step_decay
from swcl_cli.workspace import Workspace, is_done, provenance, require_own, write_parquet, write_safetensors

VALIDATION_BATCH = 32
SCORE = "validation score"  # beside the weights that are kept, of the same epoch


class S4L(nn.Module):
    """Compute L = cross-entropy of the labelled views + w * triplet loss of all views (paper III-A).

    Views of one image are each other's positives. Batch statistics are of all views together (FACTS B5). Without
    unlabelled data sets it is the cross-entropy alone.
    """

    def __init__(self, network: nn.Module, settings: TrainLabelerSettings) -> None:
        super().__init__()
        self.network = network
        self.settings = settings

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and its parts. batch: views (B, V, 3, S, S), label (B,) with -1 = unlabelled, item (B,)."""
        count = batch["views"].shape[1]
        pooled, logits = pool_and_classify(self.network, batch["views"].flatten(0, 1))  # (BV, C), (BV, 2)
        label = batch["label"].repeat_interleave(count)
        labelled = label != UNLABELLED
        classification = cross_entropy(logits[labelled].float(), label[labelled])
        metrics = {"cross_entropy": classification.detach()}
        if not self.settings.unlabelled:
            return classification, metrics
        identity = batch["item"].repeat_interleave(count)
        settings = self.settings
        alike = triplet(pooled.float(), identity, settings.mining, settings.margin, settings.soft_margin)
        return classification + settings.triplet_weight * alike, {**metrics, "triplet": alike.detach()}


def pool_and_classify(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Compute pooled features (N, C) and logits (N, 2) of images (N, 3, H, W)."""
    pooled = network.forward_head(network.forward_features(images), pre_logits=True)
    return pooled, network.fc(pooled)


def run(settings: TrainLabelerSettings) -> Path:
    """Train and validate the labeler; return the path of labeler.safetensors.

    An interrupted run is resumed. A finished one with the same settings and data is not repeated.
    """
    workspace = Workspace(settings.workspace)
    require_own(workspace.labeler, "train-labeler")
    photographs = read_photographs(workspace, settings)
    work = provenance("train-labeler", settings.defining(), photographs.inputs)
    folder = workspace.labeler_run.folder
    if not is_begun(folder, work) and is_done(workspace.labeler, work, settings.fresh):
        console.say("The labeler is already trained with these settings and data.")
        return workspace.labeler

    fabric = make_fabric(settings.accelerator, settings.precision)
    objective = S4L(create_labeler(settings.architecture, settings.seed), settings).to(
        memory_format=torch.channels_last
    )
    prepared = fabric.setup_module(objective)
    optimizer = torch.optim.SGD(
        parameter_groups(objective, settings.weight_decay), lr=settings.learning_rate, momentum=0.9, nesterov=True
    )
    plan, steps = labeler_plan(settings, len(photographs.labelled), len(photographs.unlabelled))
    total = steps * settings.epochs
    images = settings.batch_labelled + (settings.batch_unlabelled if len(photographs.unlabelled) else 0)
    views = settings.views * settings.accumulate * images
    console.say(
        f"{len(photographs.labelled):,} labelled, {len(photographs.unlabelled):,} unlabelled, "
        f"{len(photographs.validation):,} validation photographs; "
        f"{total:,} steps ({settings.epochs} epochs) of up to {views:,} views, on {device_name(fabric)}."
    )
    state = TrainState(objective, optimizer)
    job = Run(fabric, folder, work, state, settings.save_seconds, settings.fresh)
    one = torch.zeros(1, 3, settings.crop, settings.crop)
    foretell(fabric, settings, objective.network, one, (total - state.step) * views)
    batches = step_batches(LabelerViews(photographs, settings), plan, state.step, total, settings.workers)
    rate = lambda step: settings.learning_rate * step_decay(step // steps, settings.milestones)  # noqa: E731
    for step in job.follow(
        training_steps(fabric, prepared, optimizer, batches, rate, settings.seed, state.step), total, views
    ):
        if (step.index + 1) % steps == 0:
            epoch = step.index // steps
            score = validate(fabric, objective, photographs, settings)
            measured = judge(score, photographs.validated, settings.seed)
            job.log(epoch=epoch, **measured)
            state.notes = _note(state.notes, epoch, measured)
            if settings.keep == "last" or state.notes["best_epoch"] == epoch:
                weights = objective.network.state_dict() if settings.keep == "best" else {}
                state.kept = {SCORE: torch.from_numpy(score), **{key: value.clone() for key, value in weights.items()}}

    score = state.kept.pop(SCORE).numpy()
    if settings.keep == "best":
        objective.network.load_state_dict(state.kept)
    validated = photographs.validated.rename(columns={"abnormal": "truth"}).assign(score=score)
    write_parquet(workspace.labeler_scores, LABELER_SCORES.table(validated), work)
    write_safetensors(
        workspace.labeler,
        objective.network.state_dict(),
        {**work, "labeler": photographs.description(settings), "validation": state.notes},
    )
    job.finish()
    notes = state.notes
    console.say(
        f"Validation AUC {notes['auc']:.3f} (95 % interval {notes['auc_low']:.3f} to {notes['auc_high']:.3f}) "
        f"after the last epoch; best {notes['best_auc']:.3f} after epoch {notes['best_epoch'] + 1:.0f}. "
        f"Kept: {settings.keep}."
    )
    return workspace.labeler


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
    for images in make_loader(squares, squares.batches(VALIDATION_BATCH), settings.workers):
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


def judge(score: NDArray[np.float32], validated: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return the AUC with its interval over patients, outcomes at 0.5, and the expected calibration error."""
    truth = validated["abnormal"].to_numpy(dtype=bool)
    patient = (validated["dataset"] + "/" + validated["patient_id"]).to_numpy(dtype=str)
    low, high = bootstrap_interval(lambda rows: auc(truth[rows], score[rows]), patient, seed)
    error = reliability(truth, score).expected_calibration_error
    return {
        "auc": auc(truth, score), "auc_low": low, "auc_high": high,
        **binary_outcomes(truth, score), "expected_calibration_error": error,
    }  # fmt: skip


def _note(notes: dict[str, float], epoch: int, measured: dict[str, float]) -> dict[str, float]:
    """Return the notes after an epoch: its AUC with the interval, and the best epoch so far with its AUC."""
    best = notes if "best_auc" in notes and notes["best_auc"] >= measured["auc"] else None
    return {
        **{key: measured[key] for key in ("auc", "auc_low", "auc_high")},
        "best_auc": best["best_auc"] if best else measured["auc"],
        "best_epoch": best["best_epoch"] if best else epoch,
    }
