"""How each initialisation is drawn: in all figures of a report by the same colour and stroke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.style import COLOURS, Theme
from swcl_cli.reporting.figures.texts import shortened
from swcl_cli.reporting.findings import names

BESIDE: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1)}  # where a legend covers nothing
OWN, RANDOM = "swcl", "random"
STROKES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))  # after all colours, the next stroke
LONGEST_NAME = 26  # letters
FAINT, STRONG = 1.2, 2.4  # line widths


@dataclass(frozen=True)
class Stroke:
    colour: str
    dashes: Any


def initialisations(contents: Contents) -> list[str]:
    """All that were pretrained or fine-tuned, in the paper's order."""
    pretrained = [name.removeprefix("pretrain-") for name in contents.logs if name.startswith("pretrain-")]
    return names.in_paper_order([*contents.results["name"], *contents.encoders, *pretrained], names.INITIALISATIONS)


def label(name: str) -> str:
    """As it stands in legends and above panels, where long names would leave no room for the data."""
    return shortened(name, LONGEST_NAME)


def strokes(order: Sequence[str], theme: Theme) -> dict[str, Stroke]:
    """Random initial weights in the ink of the text, the paper's own method in the first colour, then by order."""
    coloured = sorted((name for name in order if name != RANDOM), key=lambda name: (name != OWN, order.index(name)))
    found = {
        name: Stroke(COLOURS[place % len(COLOURS)], STROKES[place // len(COLOURS) % len(STROKES)])
        for place, name in enumerate(coloured)
    }
    return {name: found.get(name, Stroke(theme.ink, "-")) for name in order}
