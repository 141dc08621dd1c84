"""Text that only says something: what would act where it is shown is written out instead."""

from __future__ import annotations

import re

# C0 and C1 controls but for tab and line break, marks that turn the direction of what follows, and halves of letters
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def legible(text: str) -> str:
    r"""The text with each such character as `\u202e`: for terminals, pages, tables and figures, and in UTF-8."""
    return ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
