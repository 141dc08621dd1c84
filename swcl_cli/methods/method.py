"""Define what a pretraining method gives to the `pretrain` step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from timm.layers.norm_act import freeze_batch_norm_2d
from torch import nn
from torch.utils.data import Dataset

from swcl_cli import console
from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.data.colour import Colour
from swcl_cli.data.left_out import LeftOut
from swcl_cli.data.loaders import Plan
from swcl_cli.models.encoders import batch_norms
from swcl_cli.models.initialisation import Initial, initialise
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace


def nothing(step: int) -> None:
    """Do nothing between two steps, as most methods."""


def unchanged() -> None:
    """Leave all gradients as they are, as most methods."""


@dataclass(frozen=True)
class Method:
    """Hold what the training loop needs: objective(batch) -> (loss, metrics), and its part `encoder`, which is kept.

    `plan` names the items of each step, items_a_step of them; `inputs` holds the fingerprints of what was read,
    views is how many of a patch or photograph a step has, image_size the side of a view. before_step(index) sets what a
    schedule gives for a step, as a pure function of its index; before_update() may drop gradients that the optimiser
    shall not use; after_step(index) follows the optimiser, and may change only the objective's state (a teacher).
    left_out: what --without-tests leaves out of the data sets `learning`.
    `batch_option` is the setting that a message names where a batch is too large or can't be shared.
    """

    objective: nn.Module
    encoder: nn.Module
    architecture: str
    dataset: Dataset[Any]
    collate: Callable[[list[Any]], Any] | None
    plan: Plan
    items_a_step: int
    steps_per_epoch: int
    views: int
    views_a_step: int
    inputs: dict[str, str]
    image_size: int
    mean: Colour
    std: Colour
    summary: str
    batch_option: str
    left_out: LeftOut
    learning: tuple[str, ...]
    before_step: Callable[[int], None] = nothing
    before_update: Callable[[], None] = unchanged
    after_step: Callable[[int], None] = nothing


def initial_encoder(settings: PretrainSettings, workspace: Workspace) -> Initial:
    """Load the encoder that training begins with, and print where its weights come from.

    With --frozen-bn its BatchNorm stays as it came, unless the weights are random.
    """
    initial = initialise(
        settings.init, settings.architecture, colours=settings.colours, seed=settings.seed, workspace=workspace.root
    )
    console.say(initial.summary)
    if not settings.frozen_bn:
        return initial
    if settings.init == UNTRAINED:
        console.say("--frozen-bn changes nothing: random weights train their BatchNorm.")
    elif not batch_norms(initial.encoder):
        console.say(f"--frozen-bn changes nothing: {initial.architecture} has no BatchNorm.")
    else:
        return replace(initial, encoder=freeze_batch_norm_2d(initial.encoder))  # type: ignore[no-untyped-call]
    return initial
