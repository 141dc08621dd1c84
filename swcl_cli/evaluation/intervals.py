"""Compute 95 % intervals over patients that also hold where patients are few, or a score is perfect (FACTS E13)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swcl_cli.evaluation import resampling
from swcl_cli.evaluation.resampling import Measure, Values, Weights

LEVEL = 0.95
BLOCKS = 500  # left out in turn, of patients beyond that several at once: half the work of a bootstrap of 1,000
PAIRED = 4  # answers that a row of the rarer kind stands for in an AUC, at most: near 1 the jackknife finds too many
NONE = (float("nan"), float("nan"))
Interval = tuple[float, float]


def intervals(measures: Mapping[str, Measure], groups: ArrayLike, level: float = LEVEL) -> dict[str, Interval]:
    """Compute an interval of each measure over whole groups (patients): the score interval of its jackknife.

    groups: (N,) the group of each row. A measure has none where its value is not a number, or fewer than two groups
    stand behind it. Nothing is drawn at random.
    """
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    bounds: dict[str, Interval] = {}
    if not len(codes):
        return bounds
    asked = {name: measure for name, measure in measures.items() if measure.resampled}
    values = {name: float(measure.of(np.ones((1, len(codes))))[0]) for name, measure in asked.items()}
    behind = {name: _behind(measure, codes) for name, measure in asked.items()}
    asked = {name: measure for name, measure in asked.items() if behind[name] > 1 and np.isfinite(values[name])}
    without: dict[str, list[Values]] = {name: [] for name in asked}
    for weights in _left_out(codes):
        for name, measure in asked.items():
            without[name].append(measure.of(weights))
    for name, measure in asked.items():
        span = (measure.lowest, measure.highest)
        variance, perfect = _variance(np.concatenate(without[name])), behind[name]
        if np.isinf(span).any():
            bounds[name] = one_sided_interval(values[name], variance, behind[name], *span, level)
            continue
        if measure.of_pairs:
            answers = PAIRED * min(int(part.sum()) for part in measure.parts)
            variance, perfect = max(variance, values[name] * (1 - values[name]) / answers), PAIRED * perfect
        bounds[name] = score_interval(values[name], variance, behind[name], *span, level, perfect)
    return bounds


def interval(measure: Measure, groups: ArrayLike, level: float = LEVEL) -> Interval:
    """Compute the interval of a single measure, as `intervals`; (NaN, NaN) where it has none."""
    return intervals({"": replace(measure, resampled=True)}, groups, level).get("", NONE)


def score_interval(
    value: float,
    variance: float,
    groups: int,
    lowest: float = 0.0,
    highest: float = 1.0,
    level: float = LEVEL,
    perfect: int | None = None,
) -> Interval:
    """Return Wilson's score interval of a share, with the size that its variance stands for and Student's t.

    A share p whose variance is v says as much as one of n = p (1 - p) / v independent answers, which is the effective
    size of surveys; t has `groups` - 1 degrees of freedom. Where nothing varies, as in a perfect score, n is `perfect`,
    or else each group counts as one answer. Values from `lowest` to `highest` are brought to 0 to 1 before.
    """
    from scipy.special import stdtrit

    width = highest - lowest
    p, v = min(max((value - lowest) / width, 0.0), 1.0), variance / width**2
    size = p * (1 - p) / v if v > 0 and 0 < p < 1 else perfect or groups
    over = float(stdtrit(groups - 1, (1 + level) / 2)) ** 2 / size
    middle, half = (p + over / 2) / (1 + over), np.sqrt(over * p * (1 - p) + over**2 / 4) / (1 + over)
    low, high = min(float(middle - half), p), max(float(middle + half), p)
    return lowest + width * max(low, 0.0), lowest + width * min(high, 1.0)


def one_sided_interval(
    value: float, variance: float, groups: int, lowest: float, highest: float, level: float = LEVEL
) -> Interval:
    """Return the interval of a measure that one side alone bounds, as errors are by 0 and R2 is by 1.

    It is Student's, with `groups` - 1 degrees of freedom, of the logarithm of the distance from this bound, so that it
    never crosses it. At the bound itself, and where nothing varies, there is none.
    """
    from scipy.special import stdtrit

    bound, sign = (lowest, 1.0) if np.isfinite(lowest) else (highest, -1.0)
    distance = sign * (value - bound)
    if not (distance > 0 and variance > 0):
        return NONE
    factor = float(np.exp(stdtrit(groups - 1, (1 + level) / 2) * np.sqrt(variance) / distance))
    low, high = sorted((bound + sign * distance / factor, bound + sign * distance * factor))
    return low, high


def _behind(measure: Measure, codes: NDArray[np.int64]) -> int:
    """Count the groups that stand behind a measure: where it compares kinds of rows, those of the rarer kind."""
    parts = measure.parts or (np.ones(len(codes), bool),)
    return min(len(np.unique(codes[part])) for part in parts)


def _left_out(codes: NDArray[np.int64]) -> Iterator[Weights]:
    """Yield how often each row counts, 0 or 1, where one block of groups after the other is left out."""
    block = codes % BLOCKS
    count = int(block.max()) + 1
    at_once = max(1, resampling.NUMBERS_AT_ONCE // len(codes))
    for first in range(0, count, at_once):
        blocks = np.arange(first, min(first + at_once, count))
        yield (block != blocks[:, None]).astype(np.float64)


def _variance(values: Values) -> float:
    """Return the jackknife's variance from the values with each block left out; those that are NaN don't count."""
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return 0.0
    return float((len(finite) - 1) / len(finite) * ((finite - finite.mean()) ** 2).sum())
