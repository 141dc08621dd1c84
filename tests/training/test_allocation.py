"""Memory that a step has freed serves the next one, without the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

STEPS = """
import resource
import torch
from swcl_cli.training.processes import make_fabric

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24) + 1  # 2 x 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = min(faults() for _ in range(4))
make_fabric("cpu", "fp32")
print(before, min(faults() for _ in range(4)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone is told")
def test_a_second_step_takes_no_new_pages() -> None:
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    if before < 30:
        pytest.skip("this C library, or huge pages, ask the system for little anyway")
    assert after < before / 10
