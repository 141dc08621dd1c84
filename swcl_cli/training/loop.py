"""Train by a generator that yields steps. The caller owns validation, checkpoints, logs and progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from swcl_cli import chance
from swcl_cli.errors import Diverged, SwclError

SCALE = "lr_scale"  # timm's name for a parameter group's share of the learning rate


@dataclass(frozen=True)
class Step:
    """Record an optimiser step. `index` counts from 0; `waited` (for data) and `took` (in all) are seconds."""

    index: int
    loss: float
    learning_rate: float
    metrics: dict[str, float]
    waited: float
    took: float


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Group parameters by decay: weights have it; norms and biases, of one dimension, have none (FACTS B6, C7)."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def create_optimizer(name: str, groups: list[dict[str, Any]], learning_rate: float) -> Optimizer:
    """Return `sgd` with Nesterov momentum 0.9 (paper III-A, IV-B), or `adamw`, over groups of parameters."""
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=learning_rate)
    return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True)


def training_steps(
    fabric: Fabric,
    objective: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Sequence[object]],
    learning_rate: Callable[[int], float],
    seed: int,
    first: int = 0,
    to_save_memory: str = "a smaller batch",
    clip: float = 0.0,
) -> Iterator[Step]:
    """Train, and yield after each optimiser step, so that the caller may save between any two.

    objective(batch) returns (loss, metrics); `batches` yields, for each step from `first`, its micro-batches, whose
    mean loss is minimised; over several processes, too. Draws inside the network are keyed by (seed, step, rank).
    A gradient whose norm is above `clip` is scaled down to it, unless that is 0; the metrics tell the norm before.
    Raises SwclError, before the weights change, where loss or gradient is not finite, or memory runs out.
    """
    iterator = iter(batches)
    index = first
    while True:
        started = time.perf_counter()
        micro_batches = next(iterator, None)
        if micro_batches is None:
            return
        waited = time.perf_counter() - started
        rate = learning_rate(index)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get(SCALE, 1.0)
        torch.manual_seed(chance.torch_seed(seed, "network", index, fabric.global_rank))
        objective.train()
        optimizer.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        with _explaining_memory(index, to_save_memory):
            for batch in micro_batches:
                loss, metrics = objective(fabric.to_device(batch))
                _require_finite("loss", measured := _means(fabric, {"loss": loss, **metrics}), index, rate)
                fabric.backward(loss / len(micro_batches))
                for name, value in measured.items():
                    totals[name] = totals.get(name, 0.0) + value / len(micro_batches)
            norm = get_total_norm([p.grad for p in objective.parameters() if p.grad is not None])
            _require_finite("gradient_norm", gradient := {"gradient_norm": float(norm)}, index, rate)
            if clip:
                clip_grads_with_norm_(objective.parameters(), clip, norm)
            optimizer.step()
        loss_mean = totals.pop("loss")
        yield Step(index, loss_mean, rate, totals | gradient, waited, time.perf_counter() - started)
        index += 1


def _means(fabric: Fabric, values: Mapping[str, Tensor]) -> dict[str, float]:
    """Average all values over the processes, in a single message."""
    joined = torch.stack([value.detach().float() for value in values.values()])
    return dict(zip(values, fabric.all_reduce(joined, reduce_op="mean").tolist(), strict=True))  # type: ignore[union-attr]


def _require_finite(name: str, measured: Mapping[str, float], index: int, rate: float) -> None:
    if not math.isfinite(measured[name]):
        raise Diverged(
            f"The {name.replace('_', ' ')} is not finite at step {index} (learning rate {rate:g}). The last saved "
            "state is kept; lower --learning-rate, or use --precision fp32."
        )


@contextmanager
def _explaining_memory(index: int, to_save_memory: str) -> Iterator[None]:
    """Turn an error of too little memory into one that names the step and a remedy."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise SwclError(
            f"Memory ran out at step {index}. Use {to_save_memory}. ({str(error).splitlines()[0]})"
        ) from error
