"""Find copies, and measure quality, within one data set, for those who prepare it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from swcl_cli.audit.comparing import compare
from swcl_cli.audit.describing import described, places_of
from swcl_cli.audit.measuring import measured
from swcl_cli.audit.pairs import judged
from swcl_cli.audit.quality import Quality
from swcl_cli.audit.verdict import COPY
from swcl_cli.workers import in_order
from swcl_cli.workspace import Workspace, locked


class Copies(NamedTuple):
    """Hold the numbers of two rows that are the same photograph, and in words how the other differs."""

    one: int
    other: int
    change: str


def copies_within(workspace: Workspace, dataset: str, rows: pd.DataFrame, workers: int) -> list[Copies]:
    """Compare all photographs of a data set, as `audit` does. rows: `path` and `checksum` of each, as prepared.

    What is measured is kept where `audit` keeps it, so that it costs nothing there.
    """
    with in_order(workers) as each, locked(workspace.compared.parent, "prep"):
        found = described(workspace, dataset, rows, each, fresh=False)
        compared = compare(workspace, places_of(workspace, rows), found, each, fresh=False)
    pairs = judged(rows["checksum"].tolist(), compared)
    return [Copies(pair.one, pair.other, changed) for pair, _, kind, _, changed in pairs if kind == COPY]


def qualities_within(workspace: Workspace, dataset: str, rows: pd.DataFrame, workers: int) -> list[Quality]:
    """Measure all photographs of a data set, as `audit` does, in the order of the rows."""
    with in_order(workers) as each:
        return measured(workspace, dataset, rows, each, fresh=False)
