"""All that the program prints besides `--help`: bars on a terminal, plain lines in a file, tables."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

PLAIN_LINE_SECONDS = 10.0

out = Console(soft_wrap=True, highlight=False)
err, warnings = (Console(stderr=True, soft_wrap=True, highlight=False) for _ in range(2))


def only_errors() -> None:
    """From now on nothing but `fail` is shown: of several processes that work as one, the first one speaks."""
    out.quiet = warnings.quiet = True


def say(text: str) -> None:
    out.print(escape(text))


def warn(text: str) -> None:
    warnings.print(f"[yellow]warning:[/] {escape(text)}")


def fail(text: str) -> None:
    err.print(f"[red]error:[/] {escape(text)}")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; cells are shown as they are, without markup."""
    drawn = Table(title=escape(title), title_justify="left", title_style="bold")
    for column in columns:
        drawn.add_column(escape(column))
    for row in rows:
        drawn.add_row(*(escape(str(cell)) for cell in row))
    out.print(drawn)


class Ticker:
    """Counts what is done. `note` is shown behind the counts: the loss, the throughput."""

    def __init__(self, description: str, total: int, done: int = 0) -> None:
        self.description, self.total, self.done = description, total, done
        self.started_at, self.done_before = time.monotonic(), done
        self.last_line, self.told = self.started_at, done
        self.note = ""
        self.bar: Progress | None = None
        if out.is_terminal:
            columns = (
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
            )  # fmt: skip
            self.bar = Progress(*columns, console=out)
            self.task = self.bar.add_task(escape(description), total=total, completed=done, note="")
            self.bar.start()

    def advance(self, amount: int = 1, note: str | None = None) -> None:
        self.done += amount
        self.note = self.note if note is None else note
        if self.bar is not None:
            self.bar.update(self.task, completed=self.done, note=escape(self.note))
        elif time.monotonic() - self.last_line >= PLAIN_LINE_SECONDS:
            self._line()

    def close(self, finished: bool) -> None:
        if self.bar is not None:
            self.bar.stop()
        elif finished and self.told < self.done and time.monotonic() - self.started_at >= 2:
            self._line()

    def _line(self) -> None:
        self.last_line, self.told = time.monotonic(), self.done
        spent, left = self.last_line - self.started_at, self.seconds_left()
        tail = f", {self.note}" if self.note else ""
        say(f"{self.description}: {self.done:,} of {self.total:,}, {spent:.0f} s, {left:.0f} s left{tail}")

    def seconds_left(self) -> float:
        """At the mean pace so far."""
        spent = time.monotonic() - self.started_at
        return spent / max(self.done - self.done_before, 1) * (self.total - self.done)


@contextmanager
def progress(description: str, total: int, done: int = 0) -> Iterator[Ticker]:
    ticker = Ticker(description, total, done)
    finished = False
    try:
        yield ticker
        finished = True
    finally:
        ticker.close(finished)
