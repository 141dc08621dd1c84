"""What the program says to wrong uses, word for word: messages/*.txt.

A transcript names a place (`## place`), and gives commands there (`$ swcl ...`), each in a copy of its own, in which
`write FILE TEXT`, `copy FILE FILE` and `remove FILE` may have changed something before. Below a command stand its exit
code and what it says of the error. `...` stands for words that are not ours, HASH for a fingerprint, `{name}` for a
command of the frozen workspace.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest
import torch
import typer.main
from torch import Tensor

from tests.commands import swcl
from tests.frozen.make import FINISHED, INTERRUPTED
from tests.messages.places import PLACES

TRANSCRIPTS = sorted((Path(__file__).parent / "messages").glob("*.txt"))
CHANGE = re.compile(r'(write|copy|remove) ("[^"]+"|\S+) ?(.*)')
COMMANDS = {**FINISHED, **{f"begun-{name}": command for name, (_, command) in INTERRUPTED.items()}}


@dataclass
class Case:
    """A command, what was changed before in the place where it is given, and what it says."""

    place: str
    changes: list[list[str]] = field(default_factory=list)
    command: str = ""
    expected: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return " ; ".join([self.place, *(" ".join(change).strip() for change in self.changes), self.command])


def read_cases(path: Path) -> Iterator[Case]:
    case = Case("")
    for line in [*path.read_text(encoding="utf-8").splitlines(), "## end"]:
        if case.command and (not line or line.startswith("## ")):
            yield case
            case = Case(case.place)
        if line.startswith("## "):
            case.place = line.split()[1]
        elif change := CHANGE.fullmatch(line):
            case.changes.append([change[1], change[2].strip('"'), change[3]])
        elif line.startswith("$ swcl"):
            case.command = line.removeprefix("$ swcl").strip()
        elif line and case.command:
            case.expected.append(line)


BOX = "╭─ Error ─"
CASES = [case for path in TRANSCRIPTS for case in read_cases(path)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each place is made when it is needed first."""
    return tmp_path_factory.mktemp("places")


@pytest.fixture(scope="module", autouse=True)
def built_once() -> Iterator[None]:
    """The command line, which each call would make anew from all settings."""
    with mock.patch.object(typer.main, "get_command", functools.cache(typer.main.get_command)):
        yield


def stand_in(place: str, places: Path, copy: Path) -> None:
    """Makes `copy` a copy of the place. Weights are shared: they are only ever replaced."""
    if not (places / place).exists():
        (places / place).mkdir()
        PLACES[place](places / place)
    shutil.copytree(places / place, copy, copy_function=linked)


def linked(source: str, target: str) -> None:
    os.link(source, target) if source.endswith(".safetensors") else shutil.copy2(source, target)


def change(words: list[str], root: Path) -> None:
    verb, name, rest = words
    path = root / name
    if verb == "copy":
        path, source = root / rest, path
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if verb == "copy":
        shutil.copyfile(source, path)
    elif verb == "write":
        path.write_bytes(rest.encode("latin-1").decode("unicode-escape").encode("latin-1"))


def say(case: Case, root: Path) -> list[str]:
    """Exit code and message, as a transcript has them."""
    for words in case.changes:
        change(words, root)
    words = shlex.split(re.sub(r"\{([\w-]+)\}", lambda name: shlex.join(map(str, COMMANDS[name[1]])), case.command))
    if words[0] == "prep" and "--workers" not in words:
        words += ["--workers", "0"]
    with quick_weights():
        done = swcl(*words)
    said = re.sub(r"\b[0-9a-f]{16}\b", "HASH", done.err).replace(f"{os.getcwd()}/", "")
    said = re.sub(r"<\S+ object at \w+>", "...", said)
    if BOX in said:
        said = " ".join(re.sub(r"[│╮╰╯─]", " ", said.partition(BOX)[2]).split())
    lines = [line.rstrip() for line in said.splitlines()]
    return [f"{done.code}: {lines[0] if lines else ''}", *lines[1:]]


@contextmanager
def quick_weights() -> Iterator[None]:
    """Networks begin with one value: their weights matter to no message, and drawing them takes most of the time."""

    def filled(weight: Tensor, *_: object, **__: object) -> Tensor:
        return weight.data.fill_(0.01)

    with mock.patch.multiple(torch.nn.init, kaiming_normal_=filled, kaiming_uniform_=filled):
        yield


@pytest.mark.parametrize("case", CASES, ids=str)
def test_message(case: Case, places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(case.place, places, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("SWCL_WORKSPACE", raising=False)
    said = "\n".join(say(case, Path()))
    pattern = re.escape("\n".join(case.expected)).replace(r"\.\.\.", ".*")
    assert re.fullmatch(pattern, said, re.DOTALL), said


def test_there_are_many() -> None:
    assert len(CASES) == len(set(map(str, CASES))) > 150
    assert all(case.expected and case.place in PLACES for case in CASES)
