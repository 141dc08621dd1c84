"""Choose a fine-tuning's optimiser and the course of its learning rate (FACTS E1b, E1d)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]  # it is, without an alias
from torch import nn
from torch.optim import Optimizer

from swcl_cli.settings import FinetuneSettings
from swcl_cli.training.grid import Rates
from swcl_cli.training.loop import SCALE, create_optimizer, parameter_groups
from swcl_cli.training.schedules import linear_warmup, warmup_cosine


def make_optimizer(objective: nn.Module, encoder: nn.Module, settings: FinetuneSettings, rates: Rates) -> Optimizer:
    """Return SGD with Nesterov momentum 0.9 (paper IV-B), or AdamW, over the parameters that train."""
    if settings.layer_decay < 1:
        groups = layered_groups(objective, encoder, rates.weight_decay, settings.layer_decay)
    else:
        groups = parameter_groups(objective, rates.weight_decay)
    return create_optimizer(settings.optimizer, groups, rates.learning_rate)


def layered_groups(
    module: nn.Module, encoder: nn.Module, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Group the parameters of `module` by layer and decay: each layer's rate is `layer_decay` times the next one's.

    Layers are timm's, of a transformer its blocks. What stands on the encoder has the whole rate, its last layer
    `layer_decay` of it, as in a timm network with classifier. What timm names (of transformers the positions and the
    class token) has no weight decay, as norms and biases.
    """
    undecayed: set[str] = getattr(encoder, "no_weight_decay", set)()
    layers: list[dict[str, Any]] = param_groups_layer_decay(encoder, weight_decay, undecayed, layer_decay=layer_decay)
    below = [{**group, SCALE: group[SCALE] * layer_decay} for group in layers]
    inside = {id(parameter) for parameter in encoder.parameters()}
    above = nn.ParameterList(parameter for parameter in module.parameters() if id(parameter) not in inside)
    return [*below, *parameter_groups(above, weight_decay)]


def rate_of_step(settings: FinetuneSettings, rate: float, steps_per_epoch: int) -> Callable[[int], float]:
    """Return the learning rate as a function of the step: constant or a cosine to 0 over all epochs, after a warm-up.

    The cosine does not know whether training stops early.
    """
    warming = settings.warmup_epochs * steps_per_epoch
    if settings.schedule == "cosine":
        return lambda step: rate * warmup_cosine(step, warming, settings.epochs * steps_per_epoch)
    return lambda step: rate * linear_warmup(step, warming)
