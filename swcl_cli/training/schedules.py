"""Learning rates as pure functions of the step: factors of the base rate."""

from __future__ import annotations

import math
from collections.abc import Sequence


def warmup_cosine(step: int, warmup: int, total: int) -> float:
    """Linear from 1/warmup at step 0 to 1, then a half cosine that would reach 0 at step `total` (FACTS C7)."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(total - warmup, 1)))


def step_decay(epoch: int, milestones: Sequence[int]) -> float:
    """A tenth after each milestone epoch (paper III-A)."""
    return float(0.1 ** sum(epoch >= milestone for milestone in milestones))
