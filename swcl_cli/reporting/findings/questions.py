"""Give words for the question that a label answers of a photograph, and for its classes."""

from __future__ import annotations

from swcl_cli.catalogue.labels import LABELS, Question
from swcl_cli.catalogue.tasks import TASKS, Grouping
from swcl_cli.reporting.findings.names import title


def _grouping(task: str, head: str) -> Grouping | None:
    return TASKS[task].groupings.get(head) if task in TASKS else None


def grade_of(task: str, head: str, number: int) -> str:
    """Write a class as the grade, or grades, that its data set's label counts."""
    grouping = _grouping(task, head)
    return grouping.words[number] if grouping else str(number)


def question_of(task: str, head: str) -> Question:
    """Return the question: any grade above 0 against grade 0, unless the task groups them otherwise."""
    above = f"{title(head)} above 0"
    unknown = Question(above, f"photographs with {above}", f"photographs with {title(head)} 0")
    grouping = _grouping(task, head)
    return grouping.question if grouping else (LABELS[head].question if head in LABELS else None) or unknown
