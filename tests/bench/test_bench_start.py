"""How long the program takes to answer, and a step to start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from swcl_cli.settings import STEPS
from tests.bench.conftest import Row, median_seconds

pytestmark = pytest.mark.bench

SWCL = "from swcl_cli.cli import app; app()"
TWO_COMMANDS = """
import pydantic, typer
app = typer.Typer()
@app.command()
def one(number: int = 1): ...
@app.command()
def other(text: str = ""): ...
app()
"""
ROUNDS = 7


def processor_seconds(code: str, *arguments: str) -> float:
    """Of one process that runs this code; other programs on the machine change it less than the time."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def least_in_turn(*ways: Callable[[], float]) -> list[float]:
    """The least of each, run in turn."""
    return [min(seconds) for seconds in zip(*([way() for way in ways] for _ in range(ROUNDS)), strict=True)]


@pytest.mark.parametrize("arguments", [["--help"], ["pretrain", "--help"], ["pretrain", "--dry-run"]])
def test_answers_at_once(arguments: list[str], row: Row) -> None:
    command = [sys.executable, "-c", SWCL, *arguments]
    seconds = median_seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    row(f"swcl {' '.join(arguments)}", seconds=seconds)
    assert seconds < 0.5


def test_help_beside_a_program_of_two_commands(row: Row) -> None:
    ours, theirs = least_in_turn(
        lambda: processor_seconds(SWCL, "--help"), lambda: processor_seconds(TWO_COMMANDS, "--help")
    )
    row("swcl --help beside two commands of Typer and pydantic", ratio=ours / theirs)
    assert ours <= 1.4 * theirs


@pytest.mark.parametrize("step", STEPS)
def test_a_step_starts_as_fast_as_timm(step: str, row: Row) -> None:
    ours, theirs = least_in_turn(
        lambda: processor_seconds(f"import swcl_cli.steps.{step.replace('-', '_')}"),
        lambda: processor_seconds("import timm"),
    )
    row(f"import of swcl_cli.steps.{step.replace('-', '_')} beside timm", ratio=ours / theirs)
