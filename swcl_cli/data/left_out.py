"""Leave photographs out of a training so that tests stay unseen, and tell in its artefact which these were."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from swcl_cli import console
from swcl_cli.workspace import atomic

MARKS = "left_out"  # in an artefact's provenance, and the sum of them among its settings
MARK_DIGITS = 16


@dataclass(frozen=True)
class LeftOut:
    """Hold the photographs that are not to be learnt, and why, by their paths; tested: data sets whose tests they show.

    The paths are of all photographs of the data sets that are learnt from, whatever part of them is.
    """

    tested: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    def without(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows, with a column `path`, of other photographs."""
        return rows[~rows["path"].isin(list(self.reasons)).to_numpy(dtype=bool)] if self.reasons else rows

    @property
    def setting(self) -> dict[str, str]:
        """Return what an artefact tells among its settings; nothing where no test was to be left out."""
        if not self.tested:
            return {}
        digest = hashlib.sha256("\n".join(sorted(self.reasons)).encode()).hexdigest()[:MARK_DIGITS]
        return {MARKS: f"{len(self.reasons)} photographs ({digest})"}

    @property
    def facts(self) -> dict[str, Any]:
        """Return what an artefact tells beside its settings: a mark of each photograph, which names nobody."""
        return {MARKS: sorted(map(mark, self.reasons))} if self.tested else {}

    def tell(self, listing: Path, learning: Iterable[str]) -> None:
        """Say how many photographs are left out, and list them in a file; remove an older list.

        learning: names of the data sets that are learnt from.
        """
        if not self.tested:
            listing.unlink(missing_ok=True)
            return
        with atomic(listing) as partial, open(partial, "w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(("path", "reason"))
            writer.writerows(sorted(self.reasons.items()))
        counts = Counter(path.split("/")[1] for path in self.reasons)  # data/DATASET/images/...
        of_sets = ", ".join(f"{counts[name]:,} of {name}" for name in learning)
        console.say(
            f"Left out, as test photographs of {', '.join(self.tested)} or copies of them, by swcl audit: {of_sets}; "
            f"listed in {listing}."
        )


NOTHING = LeftOut()


def mark(path: str) -> str:
    """Return 16 hexadecimal digits for a photograph's path, by which an artefact tells of it without its name."""
    return hashlib.sha256(path.encode()).hexdigest()[:MARK_DIGITS]
