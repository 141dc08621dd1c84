"""What is printed where there is no terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from swcl_cli import console


class Clock:
    now = 100.0

    @classmethod
    def monotonic(cls) -> float:
        return cls.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(console, "time", Clock)
    monkeypatch.setattr(Clock, "now", 100.0)
    return Clock


def test_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A path in brackets is no markup, and a long line is not broken: it can be searched for, and copied."""
    text = "data/[red]/" + "x" * 300
    console.say(text)
    console.warn(text)
    console.fail(text)
    console.table("[bold]", ["[a]"], [["[/b]"]])
    printed = capsys.readouterr()
    assert printed.out.startswith(text + "\n") and "[bold]" in printed.out and "[/b]" in printed.out
    assert printed.err == f"warning: {text}\nerror: {text}\n"


def test_a_plain_line_now_and_then(capsys: pytest.CaptureFixture[str], clock: type[Clock]) -> None:
    with console.progress("scoring", 40, done=10) as ticker:
        for _ in range(30):
            clock.now += 1
            ticker.advance(note="3 a second")
    assert capsys.readouterr().out.splitlines() == [
        "scoring: 20 of 40, 10 s, 20 s left, 3 a second",
        "scoring: 30 of 40, 20 s, 10 s left, 3 a second",
        "scoring: 40 of 40, 30 s, 0 s left, 3 a second",
    ]


def test_the_end_is_told_once(capsys: pytest.CaptureFixture[str], clock: type[Clock]) -> None:
    with console.progress("drawing", 3) as ticker:
        for _ in range(3):
            clock.now += 1
            ticker.advance()
    assert capsys.readouterr().out == "drawing: 3 of 3, 3 s, 0 s left\n"


def test_what_is_quick_or_broken_off_has_no_last_line(capsys: pytest.CaptureFixture[str], clock: type[Clock]) -> None:
    with console.progress("drawing", 3) as ticker:
        ticker.advance(3)
    with pytest.raises(ValueError), console.progress("drawing", 3) as ticker:
        clock.now += 5
        raise ValueError
    assert capsys.readouterr().out == ""


def test_what_would_act_on_a_terminal_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("a\x1b[31mb\x07\u202ec")
    console.table("\x1b]0;t", ["\x9b"], [["\x00"]])
    printed = capsys.readouterr().out
    assert printed.startswith("a\\u001b[31mb\\u0007\\u202ec\n")
    assert "\\u001b]0;t" in printed and "\\u009b" in printed and "\\u0000" in printed


def test_a_file_gets_a_table_as_wide_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    console.table("t", ["name", *"abcdefgh"], [["x", *["50.0 ± 1.0 (n = 5)"] * 8]])
    assert any(line.count("50.0 ± 1.0 (n = 5)") == 8 for line in capsys.readouterr().out.splitlines())


def test_a_narrow_terminal_gets_the_columns_below_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    terminal = Console(file=written, width=60, force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "out", terminal)
    console.table("title", ["name", *"abcde"], [["first", *["50.0 ± 1.0 (n = 5)"] * 5], ["second", *"12345"]])
    lines = written.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert [line.count("50.0 ± 1.0 (n = 5)") for line in lines if "first" in line] == [2, 2, 1]
    assert sum("second" in line for line in lines) == 3 and sum("title" in line for line in lines) == 1


@pytest.mark.parametrize("width", [60, 80, 200])
def test_count_and_times_are_whole_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """The bar and the note give way."""
    written = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=written, width=width, force_terminal=True, color_system=None))
    note = "loss 3.123, rate 0.0012, gradient 1.2, 1200 views/s, [12] % of it waiting"
    with console.progress("drawing refuge-seg eyes", 98_694, done=100) as ticker:
        ticker.advance(11_011, note)
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9?]*[a-zA-Z]", "", written.getvalue()))
    last = [line for line in lines if line.strip()][-1]
    assert len(last) <= width
    whole = re.match(r"drawing refuge-seg eyes [^\w]* 11111/98694 0:00:\d\d left [\d:-]{7} ", last)
    assert whole
    shown = last[whole.end() :].rstrip()
    assert shown == note if width == 200 else shown.endswith("\u2026") and note.startswith(shown[:-1])
