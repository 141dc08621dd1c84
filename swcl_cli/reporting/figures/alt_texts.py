"""What stands in for a picture where it can't be seen: short enough to be listened to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LONGEST = 600  # characters
MOST_NAMED = 4
REFERENCE = "random"


class Told(NamedTuple):
    """What one initialisation reached, and how that reads."""

    name: str
    value: float
    text: str


def summary(found: Sequence[Told]) -> str:
    """`name text` each; of more than MOST_NAMED the highest, the lowest and random only."""
    if len(found) <= MOST_NAMED:
        return "; ".join(f"{one.name} {one.text}" for one in found)
    highest, lowest = max(found, key=lambda one: one.value), min(found, key=lambda one: one.value)
    reference = [one for one in found if one.name == REFERENCE and one not in (highest, lowest)]
    named = [f"highest {highest.name} {highest.text}", f"lowest {lowest.name} {lowest.text}"]
    named += [f"{one.name} {one.text}" for one in reference]
    return "; ".join([*named, f"{len(found) - len(named)} others between"])


def shortened(text: str) -> str:
    """At most LONGEST characters, cut between two parts of its enumeration where there are some."""
    if len(text) <= LONGEST:
        return text
    kept = text[: LONGEST - 2]
    return f"{kept[: kept.rfind(';')] if ';' in kept else kept} …"
