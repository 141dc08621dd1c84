"""Lay photographs upright, and take the eye's side from what is seen, by what `audit` told of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from swcl_cli import console
from swcl_cli.data.orientation import SURE, read_orientation
from swcl_cli.swap.rows import INVERTED
from swcl_cli.workspace import Workspace

TURNED = "turned"  # among the settings of what is made of aligned photographs
DIGITS = 16


@dataclass(frozen=True)
class Alignment:
    """Hold by path whether a photograph is to be turned, and which eye it shows; None: all are taken as they lie."""

    lying: dict[str, tuple[bool, str]] | None = field(default=None)

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table of photographs with the column `inverted`, and `eye` as it is seen."""
        if self.lying is None:
            return table
        inverted, eyes = zip(*(self.lying[path] for path in table["path"]), strict=True)
        return table.assign(**{INVERTED: list(inverted), "eye": list(eyes)})

    @property
    def setting(self) -> dict[str, str]:
        """Return what an artefact tells among its settings: what is made stays as long as photographs lie so."""
        if self.lying is None:
            return {}
        lines = "\n".join(f"{path} {inverted} {eye}" for path, (inverted, eye) in sorted(self.lying.items()))
        digest = hashlib.sha256(lines.encode()).hexdigest()[:DIGITS]
        return {TURNED: f"{sum(inverted for inverted, _ in self.lying.values())} photographs ({digest})"}

    def tell(self, named: pd.DataFrame) -> None:
        """Say how many are turned, and sided otherwise than by name. named: as in the manifests."""
        if self.lying is None:
            return
        aligned = self.of(named)
        for name, rows in named.groupby("dataset", sort=False):
            now = aligned.loc[rows.index]
            known = rows["eye"] != "unknown"
            other, found = (int(((now["eye"] != rows["eye"]) & part).sum()) for part in (known, ~known))
            console.say(
                f"{name}: {int(now[INVERTED].sum()):,} of {len(rows):,} photographs lie upside down and are turned; "
                f"{other:,} show the other eye than their name says, and of {found:,} without a name the side is seen."
            )


def alignment(workspace: Workspace, align: bool, names: Sequence[str]) -> Alignment:
    """Read how the photographs of these data sets lie, if they are to be aligned.

    Raises SwclError where one of them was not looked at as it is prepared now.
    """
    return Alignment(dict(_lying(workspace, names))) if align else Alignment()


def _lying(workspace: Workspace, names: Iterable[str]) -> Iterable[tuple[str, tuple[bool, str]]]:
    for name in names:
        rows = read_orientation(workspace, name)
        seen = (rows["eye"] != "unknown") | (rows["side_confidence"] >= SURE)
        yield from zip(
            rows["path"], zip(rows["inverted"], rows["side"].where(seen, "unknown"), strict=True), strict=True
        )
