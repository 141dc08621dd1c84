"""Refuse archives that hold more than any data set does: those that were made to fill a disk."""

from __future__ import annotations

from dataclasses import dataclass

from swcl_cli.errors import SwclError

MOST_FILES = 1_000_000  # ten times as many as Kaggle EyePACS
MOST_BYTES = 1_000_000_000_000  # ten times as many
FREE_BYTES, MOST_TIMES = 10_000_000_000, 200  # above so many bytes, none unpacks to so many times its own size


@dataclass
class Sizes:
    """Add up what an archive holds, before it is unpacked. packed: bytes of the archive."""

    archive: str
    packed: int
    files: int = 0
    total: int = 0

    def add(self, name: str, size: int) -> None:
        """Count a member. Raises SwclError where the archive holds too much by now."""
        self.files += 1
        self.total += size
        if self.files > MOST_FILES:
            raise SwclError(f"{self.archive} holds more than {MOST_FILES:,} files: it is not read.")
        if self.total > MOST_BYTES or self.total > max(FREE_BYTES, MOST_TIMES * self.packed):
            times = self.total // max(1, self.packed)
            raise SwclError(
                f"{self.archive} unpacks to more than {self.total:,} bytes, {times:,} times its own size (as far as "
                f"{name}): it is not read. If it is to be trusted, unpack it, and name the folder."
            )
