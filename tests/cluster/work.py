"""Work that workers are given by the tests."""

from __future__ import annotations

import os
import signal
import time

from swcl_cli.errors import SwclError
from swcl_cli.preparation.jobs import Job, Outcome


def doubled(chunk: list[int]) -> list[int]:
    return [2 * number for number in chunk]


def slowly_doubled(chunk: list[int]) -> list[int]:
    time.sleep(0.02)
    return doubled(chunk)


def deadly(chunk: list[int]) -> list[int]:
    """Ends the worker on the number 13."""
    if 13 in chunk:
        os.kill(os.getpid(), signal.SIGKILL)
    return doubled(chunk)


def refused(chunk: list[int]) -> list[int]:
    raise SwclError("This can't be written.")


def simulated(chunk: list[Job]) -> list[Outcome]:
    """An outcome of each photograph as `prep` has them, without the work."""
    return [
        Outcome(
            job.image_id,
            job.recipe,
            {"photograph": (1_234_567, 1_700_000_000_000_000_000)},
            {"photograph": "0" * 64},
            {"photograph": (123_456, 1_700_000_000_000_000_000)},
            600,
            448,
            checksum=1_234_567_890,
            pixels="0" * 32,
            sums=tuple(range(1_000_000_000, 1_000_000_014)),
        )
        for job in chunk
    ]
