"""Print all that the program says besides `--help`: bars on a terminal, plain lines in a file, tables."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from swcl_cli.errors import Unwritten
from swcl_cli.legible import legible

PLAIN_LINE_SECONDS = 10.0


class _Stream(Console):
    """Print to standard output or error. Raises Unwritten where that takes no more."""

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except OSError as error:
            raise Unwritten(*error.args) from error


out = _Stream(soft_wrap=True, highlight=False)
err, warnings = (_Stream(stderr=True, soft_wrap=True, highlight=False) for _ in range(2))


def only_errors() -> None:
    """Silence all but `fail` from now on: of several processes that work together, only the first speaks."""
    out.quiet = warnings.quiet = True


def prepare_streams() -> None:
    """Write letters that a stream's encoding lacks as escapes, as in `\\xe4`, where they would end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write what was printed so far. Raises OSError where nobody reads it, or the disk is full."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed before the program started
            stream.flush()


def give_up_streams() -> None:
    """Let nothing more be written: whoever read it has gone, or the disk is full."""
    only_errors()
    err.quiet = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            os.dup2(nowhere, stream.fileno())


def say(text: str) -> None:
    """Print a line of text to standard output."""
    out.print(_shown(text))


def warn(text: str) -> None:
    """Print a warning to standard error."""
    warnings.print(f"[yellow]warning:[/] {_shown(text)}")


def fail(text: str) -> None:
    """Print the error that ends the command, to standard error."""
    err.print(f"[red]error:[/] {_shown(text)}")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; cells are shown as they are, without markup.

    On a terminal that is too narrow it becomes several tables below each other, each with the first column. In a file
    it stays whole, as wide as it is.
    """
    cells = [[legible(str(cell)) for cell in row] for row in rows]
    heads = [legible(name) for name in columns]
    widths = [max(map(cell_len, column)) + 3 for column in zip(heads, *cells, strict=True)]
    whole = sum(widths) + 1
    sheet = out if out.is_terminal else _Stream(file=out.file, width=max(whole, out.width), quiet=out.quiet)
    out.print(f"[bold]{_shown(title)}[/]")
    for group in _groups(widths, sheet.width - 1):
        drawn = Table()
        for column in group:
            drawn.add_column(escape(heads[column]))
        for row in cells:
            drawn.add_row(*(escape(row[column]) for column in group))
        sheet.print(drawn, soft_wrap=False)


def _groups(widths: Sequence[int], most: int) -> list[list[int]]:
    """Divide the columns into groups no wider than `most`; each has the first column and at least one more."""
    groups = [[0]]
    for column in range(1, len(widths)):
        if len(groups[-1]) > 1 and sum(widths[member] for member in groups[-1]) + widths[column] > most:
            groups.append([0])
        groups[-1].append(column)
    return groups


def _shown(text: str) -> str:
    """Escape rich's markup and a terminal's control characters."""
    return escape(legible(text))


class _Note(ProgressColumn):
    """Show the note of a task on the rest of the line; its end is cut off where the terminal is narrow."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["note"], no_wrap=True, overflow="ellipsis")


class Ticker:
    """Show how much of a long task is done. `note` is shown behind the counts: the loss, the throughput."""

    def __init__(self, description: str, total: int, done: int = 0) -> None:
        self.description, self.total, self.done = description, total, done
        self.started_at, self.done_before = time.monotonic(), done
        self.last_line, self.printed = self.started_at, done
        self.note = ""
        self.bar: Progress | None = None
        if out.is_terminal:
            whole = Column(no_wrap=True)  # the bar and the note give way before these
            columns = (
                TextColumn("{task.description}", table_column=whole),
                BarColumn(),
                MofNCompleteColumn(table_column=whole),
                TimeElapsedColumn(table_column=whole),
                TextColumn("left", table_column=whole),
                TimeRemainingColumn(table_column=whole),
                _Note(),
            )
            self.bar = Progress(*columns, console=out)
            self.task = self.bar.add_task(_shown(description), total=total, completed=done, note="")
            self.bar.start()

    def advance(self, amount: int = 1, note: str | None = None) -> None:
        """Count `amount` more as done, and show it: at once on a terminal, every PLAIN_LINE_SECONDS in a file."""
        self.done += amount
        self.note = self.note if note is None else note
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, note=legible(self.note))
        elif time.monotonic() - self.last_line >= PLAIN_LINE_SECONDS:
            self._line()

    def close(self, finished: bool) -> None:
        """Stop the bar; in a file, print a last line if the work finished and took two seconds or more."""
        if self.bar is not None:
            self.bar.stop()
        elif finished and self.printed < self.done and time.monotonic() - self.started_at >= 2:
            self._line()

    def _line(self) -> None:
        self.last_line, self.printed = time.monotonic(), self.done
        spent, remaining = self.last_line - self.started_at, self.seconds_left()
        tail = f", {self.note}" if self.note else ""
        say(f"{self.description}: {self.done:,} of {self.total:,}, {spent:.0f} s, {remaining:.0f} s left{tail}")

    def seconds_left(self) -> float:
        """Estimate the seconds that the rest takes, at the mean pace so far."""
        spent = time.monotonic() - self.started_at
        return spent / max(self.done - self.done_before, 1) * (self.total - self.done)


@contextmanager
def progress(description: str, total: int, done: int = 0) -> Iterator[Ticker]:
    """Show the progress of the work in a `with` block; an error in it prints no last line."""
    ticker = Ticker(description, total, done)
    finished = False
    try:
        yield ticker
        finished = True
    finally:
        ticker.close(finished)
