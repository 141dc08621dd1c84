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

STROKES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))  # after all colours, the next stroke
LONGEST_NAME = 26  # letters
FAINT, STRONG = 1.2, 2.4  # line widths


@dataclass(frozen=True)
class Stroke:
    colour: str
    dashes: Any

    @property
    def line(self) -> dict[str, Any]:
        """Return colour and stroke as matplotlib's keywords."""
        return {"color": self.colour, "linestyle": self.dashes}


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
    """Give random weights the ink of the text, the paper's own method the first colour, and others theirs by order."""
    coloured = sorted((name for name in order if name != UNTRAINED), key=lambda name: (name != SWCL, order.index(name)))
    by_name = {
        name: Stroke(COLOURS[place % len(COLOURS)], STROKES[place // len(COLOURS) % len(STROKES)])
        for place, name in enumerate(coloured)
    }
    return {name: by_name.get(name, Stroke(theme.ink, "-")) for name in order}
