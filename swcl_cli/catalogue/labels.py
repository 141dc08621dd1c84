"""List the label columns that public data sets come with. To add one: a row in LABELS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LabelKind = Literal["text", "binary", "grade", "number"]
KINDS: tuple[LabelKind, ...] = ("text", "binary", "grade", "number")


@dataclass(frozen=True)
class Question:
    """Name what a probability is about, for the report.

    noun: the condition whose probability it is; cases, others: the photographs with and without this condition.
    """

    noun: str
    cases: str
    others: str


@dataclass(frozen=True)
class Label:
    """Describe a label column of a manifest.

    kind: `binary` is 0 or 1, `grade` an ordered class from 0, `number` a whole number, `text` words. low, high: the
    least and the largest value that a label file may hold, of all but text. words: a word that a cell of a text column
    may hold, lower case -> the word that is stored; empty where any text is right. of: `patient` where both eyes share
    the label. question: what a classifier answers about a photograph, any value above 0 against 0.
    """

    name: str
    kind: LabelKind
    title: str
    low: int = 0
    high: int = 1
    words: tuple[tuple[str, str], ...] = ()
    of: Literal["photograph", "patient"] = "photograph"
    question: Question | None = None

    @property
    def classes(self) -> int:
        """Return how many classes a classifier of this label has; 0 where it can't be learnt as classes."""
        return self.high + 1 if self.kind in ("binary", "grade") else 0


ABNORMAL, DR_GRADE, DME_GRADE, GLAUCOMA = "abnormal", "dr_grade", "dme_grade", "glaucoma"
LABELS = {
    label.name: label
    for label in (
        Label(
            ABNORMAL,
            "binary",
            "abnormal",
            question=Question("abnormal", "abnormal photographs", "normal photographs"),
        ),
        Label(
            DR_GRADE,
            "grade",
            "DR grade",
            high=4,
            question=Question("retinopathy", "photographs with retinopathy", "photographs without"),
        ),
        Label(
            DME_GRADE,
            "grade",
            "DME grade",
            high=2,
            question=Question("risk of oedema", "photographs with a risk of oedema", "photographs without"),
        ),
        Label(
            GLAUCOMA,
            "binary",
            "glaucoma",
            question=Question("glaucoma", "photographs with glaucoma", "photographs without"),
        ),
        Label("keywords", "text", "keywords"),
        Label("age", "number", "age", high=130, of="patient"),
        Label(
            "sex",
            "text",
            "sex",
            words=(("female", "female"), ("f", "female"), ("male", "male"), ("m", "male")),
            of="patient",
        ),
    )
}
CLASS_LABELS = tuple(name for name, label in LABELS.items() if label.classes)  # those that a classifier can learn
TABLED = tuple(  # labels that people's own tables may hold
    label
    for label in sorted(LABELS.values(), key=lambda label: KINDS.index(label.kind))
    if label.words or label.kind != "text"
)
PROBED = (ABNORMAL, DR_GRADE, GLAUCOMA)  # a probe learns the first that a data set has; above 0 is its positive class
