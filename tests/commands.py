"""The command line as a user meets it, within this process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from swcl_cli.cli import app

CALL = "from swcl_cli.cli import app; app()"
PLAIN = {"COLUMNS": "220", "TERM": "dumb", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def swcl(*arguments: object) -> Finished:
    """Runs a command in this process."""
    words = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", ["swcl", *words]),
        mock.patch.dict(os.environ, PLAIN),
    ):
        try:
            app(prog_name="swcl")
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Finished(code, out.getvalue(), err.getvalue())


def environment(**more: str) -> dict[str, str]:
    """That of a process of its own: one thread, no colours, no workspace set outside."""
    inherited = {name: value for name, value in os.environ.items() if name != "SWCL_WORKSPACE"}
    return {**inherited, **PLAIN, "PYTHONPATH": str(Path(__file__).parents[1]), **more}


def process(*arguments: object, **more: str) -> subprocess.Popen[str]:
    """Starts a command in a process, and a process group, of its own."""
    command = [sys.executable, "-c", CALL, *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(started: subprocess.Popen[str], seconds: float = 120) -> Finished:
    out, err = started.communicate(timeout=seconds)
    return Finished(started.returncode, out, err)
