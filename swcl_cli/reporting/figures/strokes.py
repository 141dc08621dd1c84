"""Give each initialisation its colour and stroke, the same in all figures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.style import COLOURS, Theme
from swcl_cli.reporting.figures.texts import shortened
from swcl_cli.reporting.findings.names import SWCL, ordered_initialisations

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
HATCHES = ("", "////", "....", "xxxx")
MARKERS = ("o", "^", "s", "D", "v", "P")
OF_RANDOM: Any = (0, (3, 1, 1, 1, 1, 1))
APART = 12  # that many follow each other before colour and dashes meet again
LONGEST_NAME = 26  # letters
FAINT, STRONG = 1.2, 2.4  # line widths
MARKED = 0.3  # of the panel's diagonal, from one marker of a line to the next


@dataclass(frozen=True)
class Stroke:
    """Hold how an initialisation is drawn, so that it is known without its colour too. place: among all of them."""

    colour: str
    dashes: Any
    marker: str = "o"
    hatch: str = ""
    place: int = 0

    @property
    def line(self) -> dict[str, Any]:
        """Return colour and dashes as matplotlib's keywords."""
        return {"color": self.colour, "linestyle": self.dashes}

    def marked(self, points: int) -> dict[str, Any]:
        """Return those of a line of so many points with a marker now and then, each line's at places of its own."""
        every = {"markevery": (MARKED / 7 * (self.place % 7), MARKED)} if points > 1 else {}
        return {**self.line, "marker": self.marker, "markersize": 4.5, **every}


def initialisations(contents: Contents) -> list[str]:
    """List all that were pretrained or fine-tuned, in the paper's order."""
    return ordered_initialisations([*contents.results["name"], *contents.encoders, *contents.pretraining_logs()])


def pretraining_logs(contents: Contents) -> dict[str, pd.DataFrame]:
    """Return the logs of pretraining by the encoder's name, in the paper's order."""
    logs = contents.pretraining_logs()
    return {name: logs[name] for name in ordered_initialisations(logs)}


def label(name: str) -> str:
    """Shorten a name for legends and panels, where a long one would leave no room for the data."""
    return shortened(name, LONGEST_NAME)


def strokes(order: Sequence[str], theme: Theme) -> dict[str, Stroke]:
    """Give random weights the ink of the text, the paper's own method the first colour, and others theirs by order.

    Neighbours differ in colour, dashes, marker and hatch.
    """
    others = sorted((name for name in order if name != UNTRAINED), key=lambda name: (name != SWCL, order.index(name)))
    by_name = {}
    for place, name in enumerate(others):
        dashes = (place + place // APART) % len(DASHES)
        marker = MARKERS[place % len(MARKERS)]
        by_name[name] = Stroke(COLOURS[place % len(COLOURS)], DASHES[dashes], marker, HATCHES[dashes], place + 1)
    return {name: by_name.get(name, Stroke(theme.ink, OF_RANDOM, "X", "++++")) for name in order}
