"""The one training loop: a generator that yields steps. The caller owns validation, checkpoints, logs and progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer

from swcl_cli import chance
from swcl_cli.errors import SwclError

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


@dataclass(frozen=True)
class Step:
    """One optimiser step, done. `index` counts from 0; `waited` and `took` are seconds."""

    index: int
    loss: float
    learning_rate: float
    metrics: dict[str, float]
    waited: float
    took: float


def make_fabric(accelerator: str, precision: str) -> Fabric:
    return Fabric(accelerator=accelerator, devices=1, precision=PRECISIONS[precision])  # type: ignore[arg-type]


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights decay; norms and biases (all that has one dimension) do not (FACTS B6, C7)."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def training_steps(
    fabric: Fabric,
    objective: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Sequence[object]],
    learning_rate: Callable[[int], float],
    seed: int,
    first: int = 0,
) -> Iterator[Step]:
    """Yields after each optimiser step, so that the caller may save between any two.

    objective(batch) returns (loss, metrics); `batches` yields, for each step from `first`, its micro-batches, whose
    mean loss is minimised. What draws inside the network is keyed by (seed, step, rank). Raises SwclError, before the
    weights change, where a loss is not finite.
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
            group["lr"] = rate
        torch.manual_seed(chance.torch_seed(seed, "network", index, fabric.global_rank))
        objective.train()
        optimizer.zero_grad(set_to_none=True)
        totals: dict[str, float] = {}
        loss_sum = 0.0
        for batch in micro_batches:
            loss, metrics = objective(fabric.to_device(batch))
            loss_sum += float(loss.detach())
            if not math.isfinite(loss_sum):
                raise SwclError(
                    f"The loss is not finite at step {index} (learning rate {rate:g}). The last saved state is kept; "
                    "lower --learning-rate, or use --precision fp32."
                )
            fabric.backward(loss / len(micro_batches))
            for name, value in metrics.items():
                totals[name] = totals.get(name, 0.0) + float(value) / len(micro_batches)
        optimizer.step()
        yield Step(index, loss_sum / len(micro_batches), rate, totals, waited, time.perf_counter() - started)
        index += 1
