"""Write what stands in for a figure where it can't be seen: short enough to be listened to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from swcl_cli.catalogue.encoders import UNTRAINED

LONGEST = 600  # characters
MOST_NAMED = 4


class Entry(NamedTuple):
    """Hold what one initialisation reached, and how that reads."""

    name: str
    value: float
    text: str


def summary(entries: Sequence[Entry]) -> str:
    """Write `name text` of each; of more than MOST_NAMED the highest, the lowest and random only."""
    if len(entries) <= MOST_NAMED:
        return "; ".join(f"{entry.name} {entry.text}" for entry in entries)
    highest, lowest = max(entries, key=lambda entry: entry.value), min(entries, key=lambda entry: entry.value)
    reference = [entry for entry in entries if entry.name == UNTRAINED and entry not in (highest, lowest)]
    named = [f"highest {highest.name} {highest.text}", f"lowest {lowest.name} {lowest.text}"]
    named += [f"{entry.name} {entry.text}" for entry in reference]
    return "; ".join([*named, f"{len(entries) - len(named)} others between"])


def shortened(text: str) -> str:
    """Cut to LONGEST characters, between two parts of its enumeration where there are some."""
    if len(text) <= LONGEST:
        return text
    kept = text[: LONGEST - 2]
    return f"{kept[: kept.rfind(';')] if ';' in kept else kept} …"
