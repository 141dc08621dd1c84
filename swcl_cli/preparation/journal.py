"""Remember the outcome of each image between two runs of `prep`: a line each, appended as soon as it is known.

It is a cache, no artefact: it holds file times, and losing it costs time alone.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from swcl_cli.errors import SwclError, Unwritten
from swcl_cli.preparation.jobs import Outcome
from swcl_cli.workspace import JOURNAL, atomic

NOWHERE = -1


class Journal(Mapping[str, Outcome]):
    """Look up the last outcome of each image. Outcomes stay on the disk; memory holds only where each line begins."""

    def __init__(self, handle: BinaryIO, image_ids: Iterable[str]) -> None:
        """Find the lines of these images. handle: to read and append. Lines that were cut short are skipped."""
        self.handle = handle
        self.image_ids = sorted(image_ids)
        self.places = array("q", [NOWHERE]) * len(self.image_ids)
        self.lines = 0
        line = b"\n"
        handle.seek(0)
        for line in handle:
            self._note(_outcome(line), handle.tell() - len(line))
        if not line.endswith(b"\n"):
            handle.write(b"\n")

    def _note(self, outcome: Outcome | None, place: int) -> None:
        self.lines += 1
        if outcome and (number := self._number(outcome.image_id)) is not None:
            self.places[number] = place

    def _number(self, image_id: str) -> int | None:
        number = bisect_left(self.image_ids, image_id)
        return number if self.image_ids[number : number + 1] == [image_id] else None

    def __getitem__(self, image_id: str) -> Outcome:
        outcome = _outcome(self._line(image_id))
        assert outcome is not None
        return outcome

    def __iter__(self) -> Iterator[str]:
        return (image_id for image_id, place in zip(self.image_ids, self.places, strict=True) if place != NOWHERE)

    def __len__(self) -> int:
        return len(self.places) - self.places.count(NOWHERE)

    def _line(self, image_id: str) -> bytes:
        number = self._number(image_id)
        if number is None or self.places[number] == NOWHERE:
            raise KeyError(image_id)
        self.handle.seek(self.places[number])
        return self.handle.readline()

    def add(self, outcome: Outcome) -> None:
        """Append an outcome to the file."""
        line = json.dumps(asdict(outcome), sort_keys=True, separators=(",", ":"))
        self.handle.seek(0, 2)
        self._note(outcome, self.handle.tell())
        self.handle.write(line.encode() + b"\n")
        self.handle.flush()  # to the kernel: it outlives a killed process

    def compact(self, path: Path) -> None:
        """Rewrite the file with a single line for each image, where it has more lines than images."""
        if self.lines > len(self):
            with atomic(path) as partial, open(partial, "wb") as handle:
                handle.writelines(map(self._line, self))


@contextmanager
def opened(folder: Path, image_ids: Iterable[str]) -> Iterator[Journal]:
    """Open the journal of these images. Raises SwclError where the folder can't be written to, now or in the block."""
    with _failing_clearly(folder), open(folder / JOURNAL, "a+b") as handle:
        journal = Journal(handle, image_ids)
        yield journal
        journal.compact(folder / JOURNAL)


@contextmanager
def _failing_clearly(folder: Path) -> Iterator[None]:
    try:
        yield
    except Unwritten:
        raise
    except OSError as error:
        raise SwclError(f"{error.filename or folder} can't be written to: {error.strerror}.") from error


def _outcome(line: bytes) -> Outcome | None:
    try:
        fields: dict[str, Any] = json.loads(line)
        for name in ("stamps", "written"):
            fields[name] = {kind: (size, time) for kind, (size, time) in fields[name].items()}
        return Outcome(**{**fields, "sums": tuple(fields["sums"]), "shown": tuple(fields.get("shown", ()))})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
