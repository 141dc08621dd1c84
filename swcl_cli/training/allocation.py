"""Keep memory that was freed, so that each step of a training does not ask the system for all of it again."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
LARGEST = 2**30  # bytes of a block that is kept; larger ones go back to the system, as all large ones do by default


@cache
def keep_freed_memory() -> None:
    """Let glibc keep large blocks that were freed; other C libraries stay as they are.

    By default a block of more than 32 MiB is mapped anew each time, and the system fills its pages with zeros: up to
    half of a CPU's time in a training. What a process needs at most grows by a sixth.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
