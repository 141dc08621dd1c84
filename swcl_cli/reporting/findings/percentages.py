"""Write shares as percentages, and errors of numbers in the label's own unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from swcl_cli.catalogue.measures import quality_of

SIGNIFICANT = 3  # digits of an error of numbers
MOST_DECIMALS = 6
PLAIN_DECIMALS = 2
OWN_UNIT = "the label's own unit"


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}"


def factor_of(measure: str) -> float:
    """Return what a value of a measure is multiplied by where it is shown."""
    return 100.0 if quality_of(measure).is_share else 1.0


def decimals_of(measure: str, *values: float) -> int:
    """Return how many decimals are written: of shares one, of errors those of three digits of the largest value."""
    unit = quality_of(measure).unit
    if unit != "own":
        return 1 if unit == "percent" else PLAIN_DECIMALS
    largest = max((abs(value) for value in values if np.isfinite(value)), default=0.0)
    digits = SIGNIFICANT - 1 - math.floor(math.log10(largest)) if largest else PLAIN_DECIMALS
    return min(max(digits, 0), MOST_DECIMALS)


def written(value: float, measure: str, decimals: int | None = None) -> str:
    """Write a value of a measure, with as many decimals, or those of `decimals_of`."""
    places = decimals_of(measure, value) if decimals is None else decimals
    return f"{factor_of(measure) * value:.{places}f}"


def unit_of(measure: str) -> str:
    """Say in what a measure is shown, for titles of axes; empty where it has no unit."""
    return {"percent": "percent", "own": f"in {OWN_UNIT}", "plain": ""}[quality_of(measure).unit]


def besides_percent(measures: Iterable[str]) -> str:
    """Return the end of a sentence that says `in percent`, where some measures are errors of numbers."""
    own = any(quality_of(measure).unit == "own" for measure in measures)
    return f", or, of mean absolute errors, in {OWN_UNIT}, of which less is better" if own else ""


def with_interval(value: float, low: float, high: float, measure: str = "") -> str:
    """Write as `61.2 [55.0, 67.1]`, shares in percent, without brackets where the interval is unknown."""
    places = decimals_of(measure, value)
    if not (np.isfinite(low) and np.isfinite(high)):
        return written(value, measure, places)
    low_end, high_end = (written(end, measure, places) for end in (low, high))
    return f"{written(value, measure, places)} [{low_end}, {high_end}]"


def with_deviation(values: Sequence[float], measure: str = "") -> str:
    """Write mean and deviation as in Table II: `87.1 ± 1.2 (n = 5)`; a single run has no deviation."""
    mean = float(np.mean(values))
    places = decimals_of(measure, mean)
    spread = f" ± {written(float(np.std(values, ddof=1)), measure, places)}" if len(values) > 1 else ""
    return f"{written(mean, measure, places)}{spread} (n = {len(values)})"
