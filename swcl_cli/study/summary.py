"""Sum up what was collected from studies: where pretraining helped, where it did not, and where nobody can tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.reporting.findings.names import SWCL, ordered_initialisations, ordered_tasks, title
from swcl_cli.reporting.findings.paired import Difference
from swcl_cli.reporting.findings.percentages import with_deviation
from swcl_cli.reporting.findings.protocol import Protocol
from swcl_cli.reporting.tables.differences import BOTH, points
from swcl_cli.study.record import COMPARISONS, MADE, PAIR_COLUMNS, RUN_COLUMNS, RUNS, read

VERDICTS = ("better", "not told apart", "worse")
ROW = ["task", "protocol", "fraction"]
SIDES = ["initialisation", "start", "kind", "against", "against_start"]
COST = ["architecture", "views"]  # a network's name, and how many views pretrained it
COUNTED = (
    "pretraining",
    "from",
    "network",
    "views",
    "than its start: better",
    "same",
    "worse",
    "SWCL than it: better",
    "same",
    "worse",
)
DETAILED = ("task", "protocol", "from", "network", "views", "without", "with SWCL", "difference", "verdict")
Rows = list[tuple[str, ...]]


class Summary:
    """Hold the runs and comparisons of a folder, of each comparison the one with most runs, then the latest."""

    def __init__(self, folder: Path) -> None:
        """Raise SwclError where a table is none of ours."""
        self.runs, every = read(folder / RUNS, RUN_COLUMNS), read(folder / COMPARISONS, PAIR_COLUMNS)
        ordered = every.assign(size=every["runs"] + every["runs_against"]).sort_values(["size", "date"], kind="stable")
        self.pairs = ordered.drop_duplicates([*ROW, *SIDES, *COST], keep="last").drop(columns="size")
        self.superseded = len(every) - len(self.pairs)

    @property
    def hours(self) -> float:
        """Return the hours of all trainings, each pretraining once."""
        once = self.runs.drop_duplicates("weights")["pretraining_seconds"].sum()
        return float(self.runs["seconds"].sum() + once) / 3600

    def counts(self) -> Rows:
        """Count verdicts by pretraining, its start, network and views: against its start, and SWCL against it.

        Taught rows are in no count.
        """
        fair = self.pairs[self.pairs["taught"] == 0]
        began, ours = (fair[fair["kind"] == kind] for kind in ("start", "swcl"))
        rows: Rows = []
        for key, alike in began.groupby(["start", *COST]):
            start, network, views = key
            same = ours[(ours["against_start"] == start) & (ours["architecture"] == network) & (ours["views"] == views)]
            for name in ordered_initialisations(alike["initialisation"]):
                own, beaten = alike[alike["initialisation"] == name], same[same["against"] == name]
                told = (*_verdicts(own), *(_verdicts(beaten) if name != SWCL else ("",) * 3))
                rows.append((name, start, *_cost(network, views), *told))
        return sorted(rows, key=lambda row: row[1] != "random")

    def details(self) -> Rows:
        """Show SWCL beside its start, by task, protocol and start."""
        own = self.pairs[(self.pairs["kind"] == "start") & (self.pairs["initialisation"] == SWCL)]
        records = own.to_dict("records")
        order = ordered_tasks(own["task"])
        records.sort(key=lambda pair: (pair["start"] != "random", *(pair[name] for name in COST)))
        records.sort(key=lambda pair: (order.index(pair["task"]), _protocol(pair)))
        return [
            (
                title(pair["task"]),
                str(_protocol(pair)),
                pair["start"],
                *_cost(pair["architecture"], pair["views"]),
                self._score(pair, pair["against"], pair["against_weights"]),
                self._score(pair, SWCL, pair["weights"]) + (" (taught)" if pair["taught"] else ""),
                points(self._difference(pair)),
                pair["verdict"] + ("" if pair["drawn"] == BOTH else f" ({pair['drawn']})"),
            )
            for pair in records
        ]

    def _difference(self, pair: Mapping[str, Any]) -> Difference:
        of_task = self.runs.loc[self.runs["task"] == pair["task"], "measure"]
        measure = str(of_task.iloc[0]) if len(of_task) else ""
        return Difference(pair["difference"], pair["low"], pair["high"], pair["drawn"] == BOTH, measure=measure)

    def _score(self, pair: Mapping[str, Any], initialisation: str, weights: str) -> str:
        """Write the mean over seeds, each the mean of its folds, with their deviation and number, shares in percent."""
        alike = {**{name: pair[name] for name in (*ROW, *MADE)}, "initialisation": initialisation, "weights": weights}
        same = np.logical_and.reduce([self.runs[name] == value for name, value in alike.items()])
        runs = self.runs[same]
        values = runs.groupby("seed")["score"].mean()
        return with_deviation(values.tolist(), str(runs["measure"].iloc[0])) if len(values) else ""


def _cost(network: str, views: float) -> tuple[str, str]:
    return f"`{network}`", f"{int(views):,}"


def _protocol(pair: Mapping[str, Any]) -> Protocol:
    return Protocol(pair["protocol"], float(pair["fraction"]))


def _verdicts(pairs: pd.DataFrame) -> tuple[str, ...]:
    return tuple(str(int((pairs["verdict"] == verdict).sum())) for verdict in VERDICTS)
