"""Work that workers are given by the tests."""

from __future__ import annotations

import os
import signal
import time

from swcl_cli.errors import SwclError


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
