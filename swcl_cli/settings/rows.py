"""List which choices of a step (data set, method, task) have settings or values of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from swcl_cli.catalogue.methods import METHODS
from swcl_cli.catalogue.tasks import ALL, TASKS
from swcl_cli.datasets import DATASETS, OWN

LIST, PHANTOM = "list", "phantom"  # what `prep` does besides preparing a data set
ARTEFACTS = ("labeler", "swap", "init")  # an artefact's names for its inputs, besides data sets

ROW_KEY = {"prep": "dataset", "pretrain": "method", "finetune": "task"}  # the setting that names the choice
ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "prep": {LIST: {}, PHANTOM: {}, **{name: {"size": source.prepared_size} for name, source in DATASETS.items()}},
    "pretrain": {name: dict(method.defaults) for name, method in METHODS.items()},
    "finetune": {name: dict(task.defaults) for name, task in TASKS.items()},
}
OPTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "prep": {
        PHANTOM: ("patients", "drawn_size", "drawn"),
        **{name: source.options for name, source in DATASETS.items() if source.options},
    },
    "pretrain": {name: method.options for name, method in METHODS.items()},
    "finetune": {name: task.options for name, task in TASKS.items() if task.options},
}

if TYPE_CHECKING:
    from typing import TypeAlias

    Dataset: TypeAlias = str
    Method: TypeAlias = str
    Task: TypeAlias = str
else:
    Dataset = Literal[tuple(ROWS["prep"])]
    Method = Literal[tuple(METHODS)]
    Task = Literal[(*TASKS, ALL)]
Precision = Literal["fp32", "bf16"]
WeakLabel = Literal["position", "abnormality", "patient"]


def owners(step: str, name: str) -> list[str]:
    """Return the choices of the step that have this setting; none where all have it."""
    return [choice for choice, names in OPTIONS.get(step, {}).items() if name in names]


def is_own(prepared: str) -> bool:
    """Return whether data/PREPARED are photographs of people's own, as `prep folder` prepares them."""
    return prepared == OWN or prepared not in DATASETS


def prep_command(prepared: str) -> str:
    """Return the command that prepares data/PREPARED."""
    return f"swcl prep {prepared} SOURCE" if prepared in DATASETS else f"swcl prep {OWN} SOURCE --name {prepared}"
