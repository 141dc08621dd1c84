"""What `prep` remembers of each image between two runs: one line an outcome, appended as soon as it is there.

It is a cache, no artefact: it holds file times, and losing it costs time alone.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from swcl_cli.data.preparation import Outcome
from swcl_cli.errors import SwclError
from swcl_cli.workspace import JOURNAL, LOCK, atomic


class Outcomes(Mapping[str, Outcome]):
    """Outcomes by image_id, each kept as its line of the journal: an object would take three times the memory."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}

    def __getitem__(self, image_id: str) -> Outcome:
        outcome = _outcome(self.lines[image_id])
        assert outcome is not None
        return outcome

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def add(self, outcome: Outcome) -> None:
        self.lines[outcome.image_id] = _line(outcome)

    def keep(self, earlier: Outcomes, image_id: str) -> None:
        self.lines[image_id] = earlier.lines[image_id]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps a second `prep` out of this folder; the lock goes with the process, even when it is killed.

    A record lock, since worker processes don't inherit those. Raises SwclError where another process holds it.
    """
    with _failing_clearly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    with open(folder / LOCK, "r+") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SwclError(f"Another `swcl prep` is at work on {folder}. Wait until it ends.") from error
        yield


def read(folder: Path) -> Outcomes:
    """The last outcome of each image. A line that an interruption cut short is skipped."""
    outcomes = Outcomes()
    try:
        with open(folder / JOURNAL, encoding="utf-8") as handle:
            for line in handle:
                outcome = _outcome(line)
                if outcome is not None:
                    outcomes.lines[outcome.image_id] = line
    except FileNotFoundError:
        pass
    return outcomes


@contextmanager
def appending(folder: Path) -> Iterator[TextIO]:
    """The journal, to `append` to; it begins on a line of its own, whatever an interruption left."""
    with _failing_clearly(folder), open(folder / JOURNAL, "a", encoding="utf-8") as handle:
        handle.write("\n")
        yield handle


def append(handle: TextIO, outcome: Outcome) -> None:
    handle.write(_line(outcome))
    handle.flush()  # to the kernel: it outlives a killed process


def rewrite(folder: Path, outcomes: Outcomes) -> None:
    """One line for each of these alone."""
    with atomic(folder / JOURNAL) as partial, open(partial, "w", encoding="utf-8") as handle:
        handle.writelines(outcomes.lines.values())


@contextmanager
def _failing_clearly(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SwclError(f"{folder} can't be written to: {error.strerror}.") from error


def _line(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome), sort_keys=True, separators=(",", ":")) + "\n"


def _outcome(line: str) -> Outcome | None:
    try:
        fields: dict[str, Any] = json.loads(line)
        for name in ("stamps", "written"):
            fields[name] = {kind: (size, time) for kind, (size, time) in fields[name].items()}
        return Outcome(**{**fields, "sums": tuple(fields["sums"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
