"""The paper's own numbers, in percent (its Tables II and III), for rows that were made as the paper says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings import names
from swcl_cli.reporting.findings.recipes import unlike_preset

PRESET = "paper"
METHODS = {  # as the paper calls them
    "simclr": "SimCLR",
    "byol": "BYOL",
    "dino": "DINO",
    "supervised-odir": "OIA-ODIR",
    "supervised-eyepacs": "Kaggle-EyePACS",
    "bit-s": "BiT-S",
    "bit-m": "BiT-M",
    "multitask": "CE-multitask",
    "swcl-image": "SWCL-image",
    "swcl": "SWCL",
}
TABLE_TWO = {  # of names.TASKS, in their order: the means of five runs on test
    "random": (60.96, 32.62, 85.27, 76.83, 76.52, 74.34, 85.66),
    "simclr": (66.81, 45.83, 93.19, 77.11, 77.64, 75.02, 88.01),
    "byol": (67.14, 38.25, 91.96, 76.15, 76.32, 72.52, 85.66),
    "dino": (64.46, 40.19, 92.59, 76.30, 77.15, 74.54, 84.74),
    "supervised-odir": (64.05, 38.64, 86.68, 76.29, 77.46, 76.96, 83.95),
    "supervised-eyepacs": (67.06, 46.41, 91.80, 77.99, 77.92, 77.41, 88.30),
    "bit-s": (76.59, 54.76, 91.99, 78.88, 78.19, 78.88, 90.70),
    "bit-m": (79.35, 53.59, 93.73, 77.93, 78.50, 79.37, 90.91),
    "multitask": (66.56, 45.05, 90.97, 78.24, 78.57, 77.24, 89.30),
    "swcl-image": (70.65, 48.54, 92.93, 78.05, 78.34, 78.44, 90.01),
    "swcl": (71.57, 51.26, 95.86, 78.08, 78.61, 78.45, 89.65),
}
NOTHING: tuple[str, ...] = ()
TABLE_THREE = {  # by method, labels removed, threshold: AUC on REFUGE's validation photographs
    ("random", NOTHING, None): 71.88,
    ("imagenet", NOTHING, None): 88.18,
    ("swcl", NOTHING, 0.3): 95.03,
    ("swcl", NOTHING, 0.4): 96.52,
    ("swcl", NOTHING, 0.5): 92.91,
    ("swcl", ("position",), 0.4): 95.78,
    ("swcl", ("abnormality",), 0.4): 93.00,
    ("swcl", ("patient",), 0.4): 95.68,
    ("swcl", ("position", "abnormality"), 0.4): 94.43,
    ("swcl", ("position", "patient"), 0.4): 87.51,
    ("swcl", ("abnormality", "patient"), 0.4): 85.85,
}
PHANTOM = "phantom eyes"
MOST_REASONS = 5  # that are named
Asked = Mapping[str, Mapping[str, Any]]  # settings by step


def paper_score(method: str | None, task: str) -> float | None:
    """Its mean on test in percent, or None where the paper has none."""
    return TABLE_TWO[method][names.TASKS.index(task)] if method in TABLE_TWO and task in names.TASKS else None


def withheld(
    contents: Contents, task: str, name: str, preset: str = PRESET, asked: Asked | None = None
) -> tuple[str, ...]:
    """Why the paper's number can't stand beside that row: `step: setting` of what is not as in the preset with `asked`
    on top, in the fine-tuning and in all that it was made from. Empty where it can.
    """
    artefact = contents.finetuned.get((task, name))
    if contents.phantom or artefact is None:
        return (PHANTOM,)
    return unlike_preset(contents, artefact, preset, asked or {})


def listed(reasons: Sequence[str]) -> str:
    """`finetune (crop, epochs), prep (size)`; of many the steps alone."""
    by_step: dict[str, list[str]] = {}
    for step, _, setting in (reason.partition(": ") for reason in sorted(set(reasons))):
        by_step.setdefault(step, []).append(setting)
    few = len(set(reasons)) <= MOST_REASONS
    return ", ".join(f"{step} ({', '.join(settings)})" if few else step for step, settings in by_step.items())
