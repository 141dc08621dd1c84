"""The script of a plan, run by a shell with a stand-in for `swcl`: it goes on after failures, ends in time, stops."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from swcl_cli.study.plan import Command
from swcl_cli.study.script import script

STAND_IN = """#!/bin/sh
printf '%s|%s\\n' "$SWCL_WORKSPACE" "$*" >> "$LOG"
case $1 in
    fails) exit 1 ;;
    stopped) exit 130 ;;
    waits) trap 'echo told >> "$LOG"; exit 130' TERM; while :; do sleep 0.05; done ;;
esac
"""
pytestmark = pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell")


def _start(folder: Path, *words: tuple[str, ...], hours: float = 1) -> subprocess.Popen[str]:
    stand_in, plan = folder / "bin/swcl", folder / "a workspace/study/plan.sh"
    for path in (stand_in, plan):
        path.parent.mkdir(parents=True, exist_ok=True)
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    commands = [Command("stage", each, 60) for each in words]
    plan.write_text(script("A study", ["a note"], hours, commands))
    place = {**os.environ, "PATH": f"{stand_in.parent}:{os.environ['PATH']}", "LOG": str(folder / "log")}
    return subprocess.Popen(["sh", plan], cwd=folder, env=place, stdout=-1, stderr=-1, text=True)


def _log(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text().splitlines() if log.exists() else []


def test_a_command_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    started = _start(tmp_path, ("first",), ("fails", "--name", "two words"), ("last", "$HOME", "a'b"))
    out, err = started.communicate(timeout=30)
    workspace = str(tmp_path / "a workspace")
    assert _log(tmp_path) == [f"{workspace}|{words}" for words in ("first", "fails --name two words", "last $HOME a'b")]
    assert started.returncode == 1
    assert err == "failed: swcl fails --name two words\n1 commands failed; see above.\n"
    assert "$ swcl first\n" in out and "are left" not in out


def test_a_command_that_was_stopped_stops_all(tmp_path: Path) -> None:
    started = _start(tmp_path, ("stopped",), ("last",))
    started.communicate(timeout=30)
    assert started.returncode == 130 and len(_log(tmp_path)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_command_and_stops_all(tmp_path: Path, number: signal.Signals) -> None:
    started = _start(tmp_path, ("waits",), ("last",))
    until = time.monotonic() + 30
    while not _log(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    started.send_signal(number)
    started.communicate(timeout=30)
    assert started.returncode == 130 and _log(tmp_path)[1:] == ["told"]


def test_after_the_hours_no_command_begins(tmp_path: Path) -> None:
    started = _start(tmp_path, ("first",), ("last",), hours=1e-9)
    out, _ = started.communicate(timeout=30)
    assert started.returncode == 0 and not _log(tmp_path)
    assert out == "2 commands are left: the same call goes on with them.\n"


def test_a_script_of_nothing_ends_well(tmp_path: Path) -> None:
    started = _start(tmp_path)
    assert started.communicate(timeout=30) == ("", "") and started.returncode == 0


def test_done_commands_are_not_in_it() -> None:
    commands = [Command("one", ("a",), 60, done=True), Command("one", ("b",), 30), Command("two", ("c",), 900)]
    lines = script("A study", ["a  note\nof two lines"], 0.1, commands).splitlines()
    end = lines[lines.index("}") + 1 :]
    assert "# a note of two lines" in lines
    assert end[:3] == ["", "# one", "swcl b  # 0.5 min"] and "swcl c  # 15 min" in end and "swcl a" not in " ".join(end)
    assert end.index("# two") > next(n for n, line in enumerate(end) if line.startswith("# By the forecast"))
