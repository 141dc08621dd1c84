"""Read labels of several signs at once: in cells that join them, or in columns of 0 and 1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from swcl_cli.catalogue.labels import JOINT, SEVERAL, Label
from swcl_cli.datasets.label_cells import (
    NO_FINDING,
    Choice,
    LabelColumn,
    Unsuitable,
    key_of,
    quoted,
    require_name,
    spelling,
    without_value,
)
from swcl_cli.datasets.tables import TRUTH, says_nothing

BETWEEN, TOLD_BETWEEN = re.compile("[;|]"), re.compile("[;|,]")  # signs of a cell, where people say that it has several
YES_OR_NO = {**TRUTH, "1": True, "0": False, "yes": True, "no": False}
MOST_GUESSED, MOST_SIGNS = 30, 100  # of a column that is taken for signs; of one that is told to be


def _tokens(text: str, between: re.Pattern[str]) -> list[str]:
    """Return the signs of a cell; none where it says that there are none."""
    tokens = (spelling(token.strip()) for token in between.split(text))
    return [token for token in tokens if not says_nothing(token)]


def are_joined(counts: Mapping[str, int]) -> bool:
    """Guess whether cells hold several signs at once: some are joined, and each occurs twice on average."""
    if not any(BETWEEN.search(text) for text in counts):
        return False
    signs = Counter[str]()
    for text, count in counts.items():
        signs.update({key_of(token): count for token in _tokens(text, BETWEEN)})
    return 1 < len(signs) <= MOST_GUESSED and sum(signs.values()) >= 2 * len(signs)


def read_signs(name: str, cells: Sequence[str], counts: Mapping[str, int], choice: Choice | None) -> LabelColumn:
    """Read a column of which each cell holds several signs at once, as `DR;AMD`; see `read_column`."""
    of_cells = {text: _tokens(text, TOLD_BETWEEN if choice else BETWEEN) for text in counts}
    spelt: dict[str, Counter[str]] = {}
    for text, tokens in of_cells.items():
        for token in tokens:
            spelt.setdefault(key_of(token), Counter())[token] += counts[text]
    signs = {key: max(sorted(of_key), key=lambda sign: of_key[sign]) for key, of_key in spelt.items()}
    names = {key_of(sign): sign for sign in choice.names} if choice and choice.names else dict(sorted(signs.items()))
    for text, tokens in of_cells.items():
        if foreign := [token for token in tokens if key_of(token) not in names]:
            raise Unsuitable(f"holds {quoted(foreign[:1])}, which is none of {', '.join(names.values())}", text)
    if not 1 < len(names) <= MOST_SIGNS:
        raise Unsuitable(f"has {len(names):,} signs: several are 2 to {MOST_SIGNS}")
    values: dict[str, str | None] = {}
    for text, tokens in of_cells.items():
        there = {key_of(token) for token in tokens}
        joined = JOINT.join(sign for key, sign in names.items() if key in there)
        values[text] = joined if there or key_of(text) in NO_FINDING else None
    told = ", ".join(f"{quoted(sorted(of_key))} are one sign" for of_key in spelt.values() if len(of_key) > 1)
    label = Label(name, SEVERAL, name, of=choice.of if choice else "photograph", names=tuple(names.values()))
    return LabelColumn(
        label, [values[text] for text in cells], (f"{name}: {told}",) if told else (), without_value(values)
    )


def read_together(choice: Choice, columns: Mapping[str, Sequence[str]]) -> LabelColumn:
    """Read columns of 0 and 1 as signs that may be there at once, in their order. columns: cells by the sign's name.

    A row that lacks one of them lacks the label. Raises Unsuitable where the label's name can't be one, or a cell is
    neither, of which the reason begins with the column's name.
    """
    require_name(name := choice.column)
    read: list[list[bool | None]] = []
    for sign, cells in columns.items():
        values: dict[str, bool | None] = {}
        for text in {*cells}:
            values[text] = None if says_nothing(text) else YES_OR_NO.get(key_of(text))
            if values[text] is None and not says_nothing(text):
                raise Unsuitable(f"'{sign}' holds {quoted([text])}, which is neither 0 nor 1", text)
        read.append([values[text] for text in cells])
    absent = {text for cells in columns.values() for text in cells if text and says_nothing(text)}
    joined = [
        None if None in row else JOINT.join(sign for sign, there in zip(columns, row, strict=True) if there)
        for row in zip(*read, strict=True)
    ]
    label = Label(name, SEVERAL, name, of=choice.of, names=tuple(columns))
    return LabelColumn(label, joined, (), tuple(sorted(absent)))
