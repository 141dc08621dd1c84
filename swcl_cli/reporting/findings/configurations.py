"""Find the fine-tunings of Table III: SWCL encoders that differ in weak labels or threshold, and their baselines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import get_args

from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.initialisations import Initialisation, initialisation
from swcl_cli.reporting.findings.names import ILSVRC, SWCL
from swcl_cli.reporting.findings.recipes import recipe
from swcl_cli.settings.rows import WeakLabel

WEAK_LABELS: tuple[str, ...] = get_args(WeakLabel)
DEFAULT_THRESHOLD = 0.4  # the paper's


@dataclass(frozen=True)
class Configuration:
    """A row of Table III. method: swcl, or a baseline; labels: in the order of WEAK_LABELS; threshold: None where
    nothing tells.
    """

    method: str
    labels: tuple[str, ...] = ()
    threshold: float | None = None

    @property
    def removed(self) -> tuple[str, ...]:
        return tuple(label for label in WEAK_LABELS if label not in self.labels) if self.method == SWCL else ()

    @property
    def place(self) -> tuple[int, tuple[int, ...], float]:
        """In the paper's order: random, ILSVRC-2012, all labels by threshold, then one label removed, then two."""
        if self.method != SWCL:
            return (-2 if self.method == UNTRAINED else -1), (), 0.0
        return len(self.removed), tuple(map(WEAK_LABELS.index, self.removed)), self.threshold or 0.0

    def __str__(self) -> str:
        if self.method != SWCL:
            return "ILSVRC-2012" if self.method == ILSVRC else self.method
        without = f"without {' and '.join(self.removed)}" if self.removed else ""
        usual = self.removed and self.threshold == DEFAULT_THRESHOLD
        at = "" if self.threshold is None or usual else f"t = {self.threshold:g}"
        return ", ".join(part for part in (at, without) if part) or "all labels"


@dataclass(frozen=True)
class Family:
    """Group fine-tunings of one task that are alike in all but their initial weights. members: by name."""

    task: str
    members: dict[str, Configuration]

    @property
    def swcl_count(self) -> int:
        return len({member for member in self.members.values() if member.method == SWCL})


def families(contents: Contents) -> list[Family]:
    """List the families with several configurations of SWCL, by task."""
    alike: dict[tuple[str, str], dict[str, Configuration]] = {}
    for (task, name), artefact in contents.finetuned.items():
        configuration = _configuration(contents, initialisation(contents, task, name))
        if configuration is not None:
            settings = {key: value for key, value in recipe(artefact.provenance).items() if key != "eval"}
            alike.setdefault((task, json.dumps(settings)), {})[name] = configuration
    all_families = [Family(task, members) for (task, _), members in sorted(alike.items())]
    return [family for family in all_families if family.swcl_count > 1]


def _configuration(contents: Contents, initial: Initialisation) -> Configuration | None:
    """Return None for a method that is not in Table III."""
    if initial.encoder is not None and initial.method == SWCL:
        settings = initial.encoder.settings
        labels = tuple(label for label in WEAK_LABELS if label in settings.get("labels", WEAK_LABELS))
        return Configuration(SWCL, labels, _threshold(contents, initial.encoder))
    if initial.method in (UNTRAINED, ILSVRC):
        return Configuration(initial.method)
    return None


def _threshold(contents: Contents, encoder: Artefact) -> float | None:
    """Return its own threshold, else that of the patches that it saw, where they are still here."""
    own, swap = encoder.settings.get("threshold"), contents.swap
    if own is None and swap is not None and encoder.inputs.get("swap") == swap.fingerprint:
        own = swap.settings.get("threshold")
    return None if own is None else float(own)
