"""Escape control characters, so that text can't act on a terminal or in a page."""

from __future__ import annotations

import re

# C0 and C1 controls but for tab and line break, marks that turn the direction of the text, and lone surrogates
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def legible(text: str) -> str:
    r"""Write each control character out, as `\u202e`, so that the text is safe to show and can be encoded as UTF-8."""
    return ACTING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
