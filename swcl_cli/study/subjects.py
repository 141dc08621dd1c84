"""Choose the tasks that a study scores initialisations on, and say which are left out, and what brings them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from swcl_cli.catalogue.labels import ABNORMAL
from swcl_cli.catalogue.tasks import CLASSIFICATION, OWN, TASKS
from swcl_cli.data import manifest
from swcl_cli.errors import UsageError
from swcl_cli.settings import FinetuneSettings, prep_command
from swcl_cli.settings.resolve import nearest, resolve
from swcl_cli.study.initialisations import LABELLED
from swcl_cli.workspace import Workspace

FOLDS = "5"  # of eyes that come without splits, as those of ODIR's Kaggle packaging
PUBLIC = tuple(name for name, task in TASKS.items() if not task.open)


@dataclass(frozen=True)
class Subject:
    """Describe a task of the study: a public one, or normal and abnormal eyes of a prepared set.

    name: of its folder below finetune/. given: what tells it on the command line. photographs: their number by split;
    pixels: of a prepared one, on average.
    """

    name: str
    dataset: str
    kind: str
    given: Mapping[str, Any]
    photographs: Mapping[str, int] = field(default_factory=dict)
    pixels: float = 0.0

    @property
    def words(self) -> tuple[str, ...]:
        """Return what follows `swcl finetune`."""
        return str(self.given["task"]), *(
            word for name, value in self.given.items() if name != "task" for word in (f"--{name}", value)
        )

    @property
    def is_classification(self) -> bool:
        return self.kind == CLASSIFICATION

    def settings(self, preset: str, **more: Any) -> FinetuneSettings:
        """Resolve the settings of a fine-tuning on it, as its command does."""
        return resolve(FinetuneSettings, {**self.given, **more}, preset).settings


def chosen(wanted: Sequence[str], workspace: Workspace, preset: str) -> tuple[list[Subject], list[str]]:
    """Choose tasks; return also why each of the others can't be done, with the command that changes it.

    By default all public ones, and the eyes of ODIR. Raises UsageError where a name is neither a task nor prepared.
    """
    prepared = workspace.prepared()
    kept, left_out = [], []
    for name in dict.fromkeys(wanted or (*PUBLIC, LABELLED)):
        if name in PUBLIC:
            task = TASKS[name]
            subject = Subject(name, task.dataset, task.kind, {"task": name})
        elif name in prepared or name == LABELLED:
            called = TASKS[OWN].called(name)
            given = {"task": OWN, "data": name, "heads": ABNORMAL}
            subject = Subject(called, name, CLASSIFICATION, given)
        else:
            hint = nearest(name, (*PUBLIC, *prepared))
            raise UsageError(f"--tasks {name}: neither a public task nor a prepared set; {hint}")
        if subject.dataset not in prepared:
            left_out.append(f"{name}: its data are not prepared: {prep_command(subject.dataset)} --preset {preset}")
            continue
        subject = _counted(subject, workspace)
        if subject.photographs and subject.given["task"] == OWN and _lacking(subject):
            subject = replace(subject, given={**subject.given, "folds": FOLDS})
        if why := _unfit(subject, preset):
            left_out.append(f"{name}: {why}")
        else:
            kept.append(subject)
    return kept, left_out


def _unfit(subject: Subject, preset: str) -> str:
    """Say why a prepared set can't be learnt and tested; empty where it can."""
    if not subject.photographs:
        return f"no photograph of data/{subject.dataset} has the label {ABNORMAL}"
    lacking = _lacking(subject)
    if not lacking or subject.settings(preset).folds:
        return ""
    return (
        f"data/{subject.dataset} has no photographs in {' and '.join(lacking)}: say which they are by "
        f"{prep_command(subject.dataset)} --split-file TABLE"
    )


def _lacking(subject: Subject) -> list[str]:
    """List the splits without a photograph."""
    return [split for split in manifest.SPLITS if not subject.photographs.get(split)]


def _counted(subject: Subject, workspace: Workspace) -> Subject:
    """Count the photographs; of normal and abnormal eyes those with the label."""
    labelled = [ABNORMAL] if subject.given["task"] == OWN else []
    table = manifest.read(workspace.manifest(subject.dataset), ["split", "width", "height", *labelled]).dropna()
    pixels = float((table["width"].astype(float) * table["height"].astype(float)).mean()) if len(table) else 0.0
    return replace(subject, photographs=Counter(table["split"].tolist()), pixels=pixels)
