"""Read labels that are numbers, such as an age or a visual acuity."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import quantiles

from swcl_cli.catalogue.labels import NUMBER, Label
from swcl_cli.datasets.label_cells import Choice, LabelColumn, Unsuitable, quoted
from swcl_cli.datasets.sheets import normal
from swcl_cli.datasets.tables import says_nothing

WRITTEN = re.compile(r"[+-]?(?:\d+(?:[.]\d*)?|[.]\d+|\d*,(?!\d{3}$)\d+)(?:[eE][+-]?\d{1,3})?")  # 1,000: 1000?
MOSTLY = 0.9  # share of the cells of which a column counts as one of numbers, though others are none
IDENTIFIERS = {"id", "index", "nr", "no"}  # last words of names
INDEXED = 10  # numbers without a gap from which a column may be an index
SHOWN = 3  # cells in a message
FAR = 20  # times the middle half's width from the median: such a number may mean that nothing is known


def number_of(text: str) -> float | None:
    """Return the number of a cell, with a point or a comma before its decimals; None where it is none or too large."""
    number = float(text.replace(",", ".")) if WRITTEN.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None


def are_numbers(counts: Mapping[str, int]) -> bool:
    """Guess whether a column is one of numbers: nearly all of its cells are."""
    told = {text: count for text, count in counts.items() if not says_nothing(text)}
    numbers = sum(count for text, count in told.items() if number_of(text) is not None)
    return numbers >= MOSTLY * sum(told.values()) > 0


def read_numbers(name: str, cells: Sequence[str], choice: Choice | None) -> LabelColumn:
    """Read a column of numbers as a label. Raises Unsuitable where a cell holds none, or all hold the same."""
    counts = Counter(cells)
    values = {text: None if says_nothing(text) else number_of(text) for text in counts}
    if foreign := [text for text in counts if values[text] is None and not says_nothing(text)]:
        more = f" and {len(foreign) - SHOWN:,} others" if len(foreign) > SHOWN else ""
        raise Unsuitable(f"holds {quoted(foreign[:SHOWN])}{more} beside numbers", *foreign)
    numbers = {value for value in values.values() if value is not None}
    if len(numbers) < 2:
        raise Unsuitable(f"holds one number, {numbers.pop():g}" if numbers else "holds no number")
    if choice is None and (_is_identifier(name) or _count_rows(counts, numbers)):
        what = "seems to name rows" if _is_identifier(name) else "counts its rows"
        raise Unsuitable(f"{what}: --label '{name}={NUMBER}' takes it for a label")
    label = Label(name, NUMBER, name, of=choice.of if choice else "photograph")
    absent = tuple(sorted(text for text, value in values.items() if text and value is None))
    read = [values[text] for text in cells]
    far = _far([value for value in read if value is not None])
    told = f"{name}: far from all others are {far}: empty these cells if they mean that nothing is known"
    return LabelColumn(label, read, (told,) if far else (), absent)


def _is_identifier(name: str) -> bool:
    """Tell whether a column of this name holds identifiers, which say nothing about a photograph."""
    words = re.split(r"[\W_]+", normal(name))
    return words[0] == "unnamed" or words[-1] in IDENTIFIERS


def _count_rows(counts: Mapping[str, int], numbers: Iterable[float]) -> bool:
    """Tell whether whole numbers stand there once each, without a gap, as an index does."""
    ordered = sorted(numbers)
    alone = all(count == 1 for text, count in counts.items() if not says_nothing(text))
    return alone and len(ordered) >= INDEXED and ordered == [ordered[0] + place for place in range(len(ordered))]


def _far(values: Sequence[float]) -> str:
    """Name the numbers that lie far from the others, such as 999 among ages; empty where there are none."""
    first, median, third = quantiles(values, n=4)
    far = sorted({value for value in values if third > first and abs(value - median) > FAR * (third - first)})
    more = f" and {len(far) - SHOWN:,} others" if len(far) > SHOWN else ""
    return ", ".join(f"{value:g}" for value in far[:SHOWN]) + more
