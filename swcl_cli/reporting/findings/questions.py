"""Give words for the question that a label answers of a photograph, and for its classes."""

from __future__ import annotations

from swcl_cli.catalogue.labels import LABELS, PATIENT, Label, Question
from swcl_cli.catalogue.tasks import TASKS, Grouping
from swcl_cli.reporting.findings.names import title


def _grouping(task: str, head: str) -> Grouping | None:
    return TASKS[task].groupings.get(head) if task in TASKS else None


def grade_of(task: str, head: str, number: int, own: Label | None = None) -> str:
    """Write a class by its name, or as the grade, or grades, that its data set counts. own: people's own label."""
    if own is not None and number < len(own.names):
        return own.names[number]
    grouping = _grouping(task, head)
    return grouping.words[number] if grouping else str(number)


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
