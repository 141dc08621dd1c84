"""Compute the length of a run, and the values that change in its course, as pure functions of the step.

Learning rates are factors of the base rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def count_steps(epochs: int, steps_per_epoch: int, views: int | None, views_a_step: int) -> int:
    """Return the steps of a run: those of all epochs, or as many as `views` views take."""
    return steps_per_epoch * epochs if views is None else -(-views // views_a_step)


def linear_warmup(step: int, length: int) -> float:
    """Rise linearly from 1/length at step 0 to 1, and stay there."""
    return (step + 1) / length if step < length else 1.0


def warmup_cosine(step: int, warmup: int, total: int) -> float:
    """Rise linearly from 1/warmup at step 0 to 1, then fall by a half cosine, which reaches 0 at `total` (FACTS C7)."""
    if step < warmup:
        return linear_warmup(step, warmup)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def step_decay(epoch: int, milestones: Sequence[int]) -> float:
    """Fall to a tenth after each milestone epoch (paper III-A)."""
    return float(0.1 ** sum(epoch >= milestone for milestone in milestones))


def cosine_momentum(step: int, total: int, start: float) -> float:
    """Raise a teacher's momentum from `start` at step 0 by a half cosine to 1 at step `total` (FACTS D1)."""
    return 1 - (1 - start) * 0.5 * (1 + math.cos(math.pi * step / total))


def linear(step: int, length: int, start: float, end: float) -> float:
    """Change linearly from `start` at step 0 to `end` at step `length`, and stay there."""
    return start + (end - start) * min(step / length, 1.0)
