"""Train a task's network with early stopping, and keep its best epoch (paper IV-B; FACTS E1b to E1d)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import default_collate

from swcl_cli import console
from swcl_cli.catalogue.measures import quality_of
from swcl_cli.data.loaders import step_batches, workers_for
from swcl_cli.errors import Interrupted, SwclError
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.optimising import make_optimizer, rate_of_step
from swcl_cli.tasks.trial import Trial
from swcl_cli.training.checkpoints import TrainState
from swcl_cli.training.cost import foretell
from swcl_cli.training.grid import Rates
from swcl_cli.training.loop import training_steps
from swcl_cli.training.precise_bn import precise_statistics, trained_norms
from swcl_cli.training.processes import device_name, joined_batch_norm, own_plan, require_shares
from swcl_cli.training.run import Run

PATIENCE = 1 / 5  # of the most epochs (FACTS E1b)
LEAST_CHANCES = 2  # validations without progress before training stops: one alone is often chance


@dataclass(frozen=True)
class Fitted:
    """Hold the weights of the best epoch. `validation`: the notes of `better_notes` on it.

    `stopped`: a signal came with the last step; the program stops once the weights are written.
    """

    weights: dict[str, Tensor]
    validation: dict[str, float]
    stopped: bool = False

    def heed(self) -> None:
        """Raise Interrupted where a signal came with the last step."""
        if self.stopped:
            raise Interrupted("Stopped after the end of a run; the same command goes on from there.")


def freeze_encoder(encoder: nn.Module, objective: nn.Module) -> None:
    """Freeze the encoder: no gradients, and evaluation mode in every step, so that batch statistics stay too."""
    encoder.requires_grad_(False)
    objective.register_forward_pre_hook(lambda *_: encoder.eval() and None)


def fit(
    trial: Trial, fabric: Fabric, settings: FinetuneSettings, measure: str, rates: Rates, seed: int, folder: Path,
    work: Mapping[str, Any], trainings: int = 1,
) -> Fitted:  # fmt: skip
    """Train until the validation measure has fallen short of its best for a fifth of the epochs, and two validations;
    not before `least_steps`.

    The epoch with the best measure is kept; of several, the one with the lowest loss on validation. An epoch that
    equals the best measure is no setback: patience counts from the last epoch that reached it. An epoch whose measure
    is NaN ranks below all others. trainings: as many as this one are to be done, whose time is told. Each validation
    takes BatchNorm's statistics from the views of the last training steps, and the weights that are kept hold them. A
    training that was interrupted resumes from `folder`. Raises SwclError where the measure of every epoch is NaN.
    """
    require_shares(trial.plan(trial.steps_per_epoch - 1)[-1], fabric, "--batch")
    objective = fabric.setup_module(joined_batch_norm(trial.objective, fabric))
    optimizer = make_optimizer(trial.objective, trial.encoder, settings, rates)
    total = trial.steps_per_epoch * settings.epochs
    patience = max(math.ceil(PATIENCE * settings.epochs), LEAST_CHANCES * settings.validate_every)
    counts = ", ".join(f"{count:,} {split}" for split, count in trial.images.items())
    least = f", at least {min(settings.least_steps, total):,}" if settings.least_steps else ""
    planned = f"at most {total:,} steps ({settings.epochs} epochs){least}"
    console.say(f"{counts} photographs; {planned}, on {device_name(fabric)}.")
    state = TrainState(trial.objective, optimizer)
    job = Run(fabric, folder, work, state, settings.save_seconds, settings.fresh, settings.tensorboard)
    one = default_collate([trial.dataset[trial.plan(0)[0][0]]])
    views = settings.epochs * trial.images["train"] * (total - state.step) // total
    foretell(fabric, settings, trial.objective, one, views, trainings)
    plan = own_plan(trial.plan, fabric)
    drawn = step_batches(trial.dataset, plan, state.step, total, settings.workers)
    batches = job.watched(drawn, trial.model)
    rate = rate_of_step(settings, rates.learning_rate, trial.steps_per_epoch)
    steps = training_steps(fabric, objective, optimizer, batches, rate, seed, state.step, clip=settings.clip)
    reason = ""
    for step in job.follow(steps, total, settings.batch):
        epoch, steps_done = divmod(step.index + 1, trial.steps_per_epoch)
        if steps_done or (epoch % settings.validate_every and epoch != settings.epochs):
            continue
        started = time.perf_counter()
        since = (epoch - 1) // settings.validate_every * settings.validate_every  # epochs, at the validation before
        with _statistics(trial, fabric, objective, settings, range(since * trial.steps_per_epoch, step.index + 1)):
            judgement = _judged(trial, fabric)
            if measure not in judgement.measures:
                raise SwclError(f"The task has no measure {measure}; it has {', '.join(judgement.measures)}.")
            value, reason = judgement.measures[measure], judgement.reasons.get(measure, "")
            former = state.notes
            state.notes = better_notes(former, epoch - 1, value, judgement.loss, measure)
            if state.notes["best_epoch"] != former.get("best_epoch"):
                state.kept = {key: tensor.clone() for key, tensor in trial.network.state_dict().items()}
        seconds = time.perf_counter() - started
        job.log(epoch=epoch - 1, validation=value, validation_loss=judgement.loss, seconds=seconds)
        if epoch - 1 - state.notes["last_best_epoch"] >= patience and step.index + 1 >= settings.least_steps:
            break
    if math.isnan(state.notes["best"]):
        raise SwclError(f"No epoch can be chosen: {measure} on validation is not a number{reason and f' ({reason})'}.")
    return Fitted(state.kept, state.notes, job.stopped)


def _judged(trial: Trial, fabric: Fabric) -> Judgement:
    """Judge the present weights on validation: the first of several processes does, and tells the others."""
    judgement: Any = trial.judge(fabric, "val", None) if fabric.is_global_zero else None
    told: Judgement = fabric.broadcast(judgement)
    return told


def better_notes(
    notes: Mapping[str, float], epoch: int, value: float, loss: float, measure: str = ""
) -> dict[str, float]:
    """Return the notes after an epoch, from 0: which one is the best so far, and by what, a value of the measure.

    `best` is its measure and `best_loss` its loss on validation, `best_epoch` the epoch, and `last_best_epoch` the last
    one with this measure. Notes of version 0.1 hold `best` and `best_epoch` alone.
    """
    merit = quality_of(measure).merit
    reached = merit(value) - merit(notes["best"]) if "best" in notes else math.inf  # NaN where both are NaN
    if reached > 0 or (reached == 0 and loss < notes.get("best_loss", -math.inf)):
        return {"best": value, "best_loss": loss, "best_epoch": epoch, "last_best_epoch": epoch}
    return {**notes, "last_best_epoch": epoch if reached == 0 else notes.get("last_best_epoch", notes["best_epoch"])}


def _statistics(
    trial: Trial, fabric: Fabric, objective: nn.Module, settings: FinetuneSettings, steps: range
) -> AbstractContextManager[None]:
    """Estimate BatchNorm's statistics on the views of the last of these steps, where the network has trained ones."""
    if not (settings.precise_bn and trained_norms(objective)):
        return nullcontext()

    def batches() -> Iterator[Any]:
        again = steps[-settings.precise_bn :]
        workers = workers_for(len(again) * min(settings.batch, trial.images["train"]), settings.workers)
        plan = own_plan(trial.plan, fabric)
        for micro_batches in step_batches(trial.dataset, plan, again.start, again.stop, workers):
            yield from map(fabric.to_device, micro_batches)

    return precise_statistics(objective, batches())
