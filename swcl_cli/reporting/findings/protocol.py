"""Tell how a row was fine-tuned: under a probe, under a decoder alone, or whole, and on which share of the labels."""

from __future__ import annotations

from dataclasses import dataclass

from swcl_cli.reporting.evidence.contents import Contents

PROBE, FROZEN, WHOLE = "linear probe", "frozen encoder", "fine-tuning"


@dataclass(frozen=True)
class Protocol:
    """Hold what trains, and the share of the training photographs."""

    trains: str
    fraction: float

    def __lt__(self, other: Protocol) -> bool:
        """Order by what trains, then from all labels to few."""
        order = (PROBE, FROZEN, WHOLE)
        return (order.index(self.trains), -self.fraction) < (order.index(other.trains), -other.fraction)

    def __str__(self) -> str:
        return f"{self.trains}, {'all' if self.fraction == 1 else f'{100 * self.fraction:g} % of'} labels"


def protocol_of(contents: Contents, task: str, name: str) -> Protocol:
    """Tell how a row was fine-tuned, by its provenance; one that does not say, whole and on all labels."""
    artefact = contents.finetuned.get((task, name))
    settings = artefact.settings if artefact else {}
    trains = PROBE if settings.get("probe") else FROZEN if settings.get("freeze") else WHOLE
    return Protocol(trains, float(settings.get("fraction", 1.0)))
