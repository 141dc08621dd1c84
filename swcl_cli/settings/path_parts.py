"""Check names that become a part of a path, and define the types of the settings that hold such names."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from swcl_cli.settings.step import split_at_commas

LONGEST = 100  # bytes: file systems allow 255, and older versions joined two names with task, fold and seed
ALLOWED = (
    f"a name is one part of a path: at most {LONGEST} bytes, no slash, backslash, comma or control character, "
    "no dot or space at its start, no space at its end"
)


def plain_part(name: str) -> str:
    """Check a name, and return it. Raises ValueError, which says what is allowed, if it could lead elsewhere."""
    plain = name.isprintable() and not set("/\\,") & set(name) and not name.startswith(".") and name == name.strip()
    if not (name and plain and len(name.encode()) <= LONGEST):
        raise ValueError(ALLOWED)
    return name


PathPart = Annotated[str, AfterValidator(plain_part)]
PathParts = Annotated[list[PathPart], BeforeValidator(split_at_commas)]
