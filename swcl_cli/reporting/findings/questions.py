"""What is asked of a photograph, in words: any grade of a label above 0, against grade 0."""

from __future__ import annotations

from dataclasses import dataclass

from swcl_cli.reporting.findings.names import title


@dataclass(frozen=True)
class Question:
    """`noun`: what a probability is of; `cases` and `others`: the photographs that it tells apart."""

    noun: str
    cases: str
    others: str


QUESTIONS = {
    "abnormal": Question("abnormal", "abnormal photographs", "normal photographs"),
    "glaucoma": Question("glaucoma", "photographs with glaucoma", "photographs without"),
    "dr_grade": Question("retinopathy", "photographs with retinopathy", "photographs without"),
    "dme_grade": Question("risk of oedema", "photographs with a risk of oedema", "photographs without"),
}
OF_TASK = {  # where the classes are not the grades themselves (paper, Table I)
    ("messidor", "dr_grade"): Question(
        "referable retinopathy", "photographs with retinopathy of grade 2 or 3", "photographs of grade 0 or 1"
    ),
}


GRADES = {("messidor", "dr_grade"): ("0-1", "2-3")}  # of each class, where it is not the grade itself


def grade_of(task: str, head: str, found: int) -> str:
    """A class as the grade, or grades, that its data set's label counts."""
    return GRADES[task, head][found] if (task, head) in GRADES else str(found)


def question_of(task: str, head: str) -> Question:
    above = f"{title(head)} above 0"
    unknown = Question(above, f"photographs with {above}", f"photographs with {title(head)} 0")
    return OF_TASK.get((task, head), QUESTIONS.get(head, unknown))
