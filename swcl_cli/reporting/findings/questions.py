"""Give words for the question that a label answers of a photograph, and for its classes."""

from __future__ import annotations

from collections.abc import Sequence

from swcl_cli.catalogue.labels import LABELS, PATIENT, Label, Question
from swcl_cli.catalogue.tasks import TASKS, Grouping
from swcl_cli.datasets import DATASETS
from swcl_cli.reporting.findings.names import title


def _grouping(task: str, head: str) -> Grouping | None:
    return TASKS[task].groupings.get(head) if task in TASKS else None


def class_of(task: str, head: str, number: int, own: Label | None = None, dataset: str = "") -> str:
    """Write a class by its name, or by its number where it has none. own: people's own label; dataset: the task's."""
    grouping = _grouping(task, head)
    titles = own.names if own and own.names else grouping.titles if grouping else titles_of(head, [dataset])
    return titles[number] if number < len(titles) else str(number)


def titles_of(head: str, datasets: Sequence[str]) -> tuple[str, ...]:
    """Return what the values of a public label are called in these data sets; none where they differ, or have none."""
    own = {DATASETS[name].titles.get(head, ()) if name in DATASETS else () for name in datasets}
    shared = own.pop() if len(own) == 1 else ()
    return shared or (LABELS[head].titles if head in LABELS else ())


def own_question(label: Label) -> Question | None:
    """Return the question of people's own label; None where it has more than two classes without an order."""
    first, second = label.names[:2]
    whose = units(label)
    if label.classes == 2:
        return Question(second, f"{whose} of class {second}", f"{whose} of class {first}")
    above = f"{label.name} above {first}"
    ordered = label.kind == "grades"
    return Question(above, f"{whose} with {above}", f"{whose} with {label.name} {first}") if ordered else None


def units(own: Label | None) -> str:
    """Return what a label is of: photographs, or patients. own: people's own label."""
    return "patients" if own and own.of == PATIENT else "photographs"


def question_of(task: str, head: str) -> Question:
    """Return the question: any grade above 0 against grade 0, unless the task groups them otherwise."""
    above = f"{title(head)} above 0"
    unknown = Question(above, f"photographs with {above}", f"photographs with {title(head)} 0")
    grouping = _grouping(task, head)
    return grouping.question if grouping else (LABELS[head].question if head in LABELS else None) or unknown
