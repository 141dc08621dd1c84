"""How long a run is, and what changes in its course, as pure functions of the step.

Learning rates are factors of the base rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def count_steps(epochs: int, steps_per_epoch: int, views: int | None, views_a_step: int) -> int:
    """Steps of a run: all epochs, or, where `views` are given, as many as it takes to have seen these."""
    return steps_per_epoch * epochs if views is None else -(-views // views_a_step)


def warmup_cosine(step: int, warmup: int, total: int) -> float:
    """Linear from 1/warmup at step 0 to 1, then a half cosine that would reach 0 at step `total` (FACTS C7)."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def step_decay(epoch: int, milestones: Sequence[int]) -> float:
    """A tenth after each milestone epoch (paper III-A)."""
    return float(0.1 ** sum(epoch >= milestone for milestone in milestones))


def cosine_momentum(step: int, total: int, start: float) -> float:
    """A teacher's momentum: from `start` at step 0 by a half cosine towards 1 at step `total` (FACTS D1)."""
    return 1 - (1 - start) * 0.5 * (1 + math.cos(math.pi * step / total))


def linear(step: int, length: int, start: float, end: float) -> float:
    """From `start` at step 0 to `end` at step `length`, where it stays."""
    return start + (end - start) * min(step / length, 1.0)
