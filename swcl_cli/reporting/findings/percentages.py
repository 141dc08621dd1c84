"""Write shares as percentages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f}"


def with_interval(value: float, low: float, high: float) -> str:
    """Write as percent: `61.2 [55.0, 67.1]`, without brackets where the interval is unknown."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return percent(value)
    return f"{percent(value)} [{percent(low)}, {percent(high)}]"


def with_deviation(values: Sequence[float]) -> str:
    """Write mean and deviation as in Table II: `87.1 ± 1.2 (n = 5)`; a single run has no deviation."""
    spread = f" ± {percent(float(np.std(values, ddof=1)))}" if len(values) > 1 else ""
    return f"{percent(float(np.mean(values)))}{spread} (n = {len(values)})"
