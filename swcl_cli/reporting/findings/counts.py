"""Write numbers before what they count."""

from __future__ import annotations

import re

PLURAL = re.compile(r"\b([a-z]+ch)es\b|\b([a-z]*[^\Ws])s\b")  # of the nouns that the report counts


def counted(number: int, plural: str) -> str:
    """Write `1 data set`, `2 data sets`. plural: what is counted, whose first plural is its noun."""
    return f"{number:,} {noun(number, plural)}"


def noun(number: int, plural: str) -> str:
    """Return the words for so many: `photographs with retinopathy`, of one `photograph with retinopathy`."""
    return PLURAL.sub(lambda found: found[1] or found[2], plural, count=1) if number == 1 else plural
