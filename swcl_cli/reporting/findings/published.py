"""Put the paper's own numbers beside rows that were made as the paper says, and says why it withholds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swcl_cli.catalogue.paper import PRESET, TABLE_TWO, TASK_ORDER
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.recipes import unlike_preset

PHANTOM = "phantom eyes"
MOST_REASONS = 5  # that are named
Asked = Mapping[str, Mapping[str, Any]]  # settings by step


def paper_score(method: str | None, task: str) -> float | None:
    """Return the paper's mean on test in percent, or None where it has none."""
    return TABLE_TWO[method][TASK_ORDER.index(task)] if method in TABLE_TWO and task in TASK_ORDER else None


def withheld(
    contents: Contents, task: str, name: str, preset: str = PRESET, asked: Asked | None = None
) -> tuple[str, ...]:
    """Say why the paper's number can't stand beside a row of a table; empty where it can.

    Each reason is `step: setting`, of what differs from the preset with `asked` on top, in the fine-tuning and in all
    that it was made from.
    """
    artefact = contents.finetuned.get((task, name))
    if contents.phantom or artefact is None:
        return (PHANTOM,)
    return unlike_preset(contents, artefact, preset, asked or {})


def is_as_in_paper(contents: Contents, artefact: Artefact) -> bool:
    """Tell whether an artefact and all behind it are made as the paper says, whose numbers may then stand there."""
    return not contents.phantom and not unlike_preset(contents, artefact, PRESET, {})


def listed(reasons: Sequence[str]) -> str:
    """List reasons by step: `finetune (crop, epochs), prep (size)`; of many the steps alone."""
    by_step: dict[str, list[str]] = {}
    for step, _, setting in (reason.partition(": ") for reason in sorted(set(reasons))):
        by_step.setdefault(step, []).append(setting)
    few = len(set(reasons)) <= MOST_REASONS
    return ", ".join(f"{step} ({', '.join(settings)})" if few else step for step, settings in by_step.items())
