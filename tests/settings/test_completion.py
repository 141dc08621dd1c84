"""What shells complete, and help on a narrow terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from swcl_cli.settings import STEPS
from tests.commands import CALL, environment

NARROW = 80


def completed(words: str, cwd: Path) -> list[str]:
    """What bash is offered for the last of the words, which may be empty."""
    asked = {"_SWCL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    call = [sys.executable, "-c", CALL.replace("app()", "app(prog_name='swcl')")]
    done = subprocess.run(call, capture_output=True, text=True, env=environment(**asked), cwd=cwd, check=False)
    return done.stdout.split()


def test_what_is_known_is_completed(tmp_path: Path) -> None:
    (tmp_path / "swcl.safetensors").touch()
    (tmp_path / "mine.toml").touch()
    (tmp_path / "weights").mkdir()
    assert completed("swcl finetune ref", tmp_path) == ["refuge-cls", "refuge-seg"]
    assert completed("swcl pretrain --method simc", tmp_path) == ["simclr"]
    assert completed("swcl finetune drive --init ", tmp_path)[:3] == ["random", "imagenet", "bit-m"]
    assert completed("swcl finetune drive --init sw", tmp_path) == ["swcl.safetensors"]
    assert completed("swcl finetune drive --init w", tmp_path) == ["weights/"]
    assert completed("swcl pretrain --preset sm", tmp_path) == ["small", "small-scratch"]
    assert completed("swcl pretrain --preset mi", tmp_path) == ["mine.toml"]


@pytest.mark.parametrize("step", STEPS)
def test_help_on_a_narrow_terminal_breaks_no_word(step: str, tmp_path: Path) -> None:
    lines = {}
    for width in (NARROW, 400):
        call = [sys.executable, "-c", CALL, step, "--help"]
        asked = environment(COLUMNS=str(width))
        done = subprocess.run(call, capture_output=True, text=True, env=asked, cwd=tmp_path, check=True)
        lines[width] = done.stdout.splitlines()
    assert "…" not in "".join(lines[NARROW])
    assert max(map(len, lines[NARROW])) <= NARROW
    words = [{word for line in those for word in line.replace("│", " ").split()} for those in lines.values()]
    assert not {word for word in words[1] - words[0] if not word.startswith(("─", "╭", "╰"))}
