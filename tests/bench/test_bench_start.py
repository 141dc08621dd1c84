"""How long the program takes to answer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.bench.conftest import median_seconds

pytestmark = pytest.mark.bench


@pytest.mark.parametrize("arguments", [["--help"], ["pretrain", "--help"], ["pretrain", "--dry-run"]])
def test_answers_at_once(arguments, row):
    command = [sys.executable, "-c", "from swcl_cli.cli import app; app()", *arguments]
    seconds = median_seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    row(f"swcl {' '.join(arguments)}", seconds=seconds)
    assert seconds < 0.5
