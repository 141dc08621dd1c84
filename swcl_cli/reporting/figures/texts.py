"""Reword the text of a figure, so that names in its data stay legible and leave room for the data."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axis import Axis
from matplotlib.figure import Figure as Drawing
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter

from swcl_cli.legible import legible

LONGEST, LONGEST_LABEL = 96, 36  # letters of a line, and of a label at an axis
Change = Callable[[str], str]


def reword(drawing: Drawing, named: Change | None = None) -> None:
    """Change all text of a figure, by `named` first. Lines that are too long lose their middle."""

    def change(text: str, longest: int = LONGEST) -> str:
        lines = legible(named(text) if named else text).split("\n")
        return "\n".join(shortened(line, longest) for line in lines)

    for written in drawing.findobj(Text):
        if isinstance(written, Text):
            written.set_text(change(written.get_text()))
    for axes in drawing.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _reword_ticks(axis, lambda text: change(text, LONGEST_LABEL))


def shortened(text: str, longest: int) -> str:
    """Return the text itself, or its first two thirds and its end."""
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 1]}…{text[-end:]}"


def _reword_ticks(axis: Axis, change: Change) -> None:
    """Change words at ticks, which the axis' formatter keeps and writes anew at each drawing."""
    formatter = axis.get_major_formatter()
    if isinstance(formatter, FixedFormatter):
        formatter.seq = [change(text) for text in formatter.seq]
    elif isinstance(formatter, FuncFormatter):
        written = formatter.func
        axis.set_major_formatter(FuncFormatter(lambda value, place=None: change(written(value, place))))
