"""Decide which links in a download are read: those that stay in it, or, if asked, that stay on its volume."""

from __future__ import annotations

from pathlib import Path, PosixPath

LEADS_OUT = "a link that leads out of the source"
OTHER_VOLUME = "a link to another volume, or to nothing"
LOOP = "a loop of links"


class Followed(PosixPath):
    """Name a source of which links are followed also where they lead out of it, but stay on its volume."""


def why_not_followed(source: Path, path: Path) -> str:
    """Say why a path is not read: a link on the way leads out of the source, or, if `Followed`, to another volume.

    Return '' where it is read.
    """
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # which of them is up to the version of Python
        return LOOP
    if target.is_relative_to(source.resolve()):
        return ""
    if not isinstance(source, Followed):
        return LEADS_OUT
    try:
        return "" if target.stat().st_dev == source.stat().st_dev else OTHER_VOLUME
    except OSError:
        return OTHER_VOLUME
