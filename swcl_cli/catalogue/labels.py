"""Describe labels, and list those that public data sets come with. To add one: a row in LABELS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

LabelKind = Literal["text", "binary", "grade", "number", "classes", "grades", "several"]
KINDS: tuple[LabelKind, ...] = ("text", "binary", "grade", "number")  # of the labels of public data sets
PATIENT: Final = "patient"
CLASSES: Final = "classes"
GRADES: Final = "grades"
SEVERAL: Final = "several"
NUMBER: Final = "number"
OWN_KINDS: tuple[LabelKind, ...] = (CLASSES, GRADES, SEVERAL, NUMBER)  # of people's own labels
JOINT = ";"  # between the signs of a label of several at once


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

    kind: `binary` is 0 or 1, `grade` an ordered class from 0, `number` a whole number, of people's own any number,
    `text` words. low, high: the least and the largest value that a label file may hold, of all but text and people's
    own. words: a word that a cell of a text column may hold, lower case -> the word that is stored; empty where any
    text is right. of: `patient` where both eyes share the label. question: what a classifier answers about a
    photograph, any value above 0 against 0.

    People's own labels are of the kinds `classes` and, where these are ordered, `grades`. Their columns hold the names
    of classes; names: all of them, in the order in which a classifier numbers them. Of the kind `several` a photograph
    may have any number of these classes at once, which its column joins by JOINT; an empty text has none of them.

    titles: what the values 0, 1 ... of a public label are called in figures; of a grade, each data set says it.
    """

    name: str
    kind: LabelKind
    title: str
    low: int = 0
    high: int = 1
    words: tuple[tuple[str, str], ...] = ()
    of: Literal["photograph", "patient"] = "photograph"
    question: Question | None = None
    names: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Return whether it is described as labels of people's own are, by the names of its classes."""
        return self.kind in OWN_KINDS and LABELS.get(self.name) != self

    @property
    def learnt(self) -> Label:
        """Return the label as a classifier learns it: of words, the words that are stored become classes."""
        names = tuple(dict.fromkeys(stored for _, stored in self.words))
        return replace(self, kind=CLASSES, words=(), names=names) if names else self

    @property
    def classes(self) -> int:
        """Return how many classes a classifier of this label has; 0 where it can't be learnt as classes."""
        return len(self.names) if self.is_own else self.high + 1 if self.kind in ("binary", "grade") else 0

    @property
    def is_graded(self) -> bool:
        """Return whether its classes are ordered grades."""
        return self.kind in ("grade", GRADES)

    @property
    def outputs(self) -> int:
        """Return how many outputs its head has: one a class, or that of a number; 0 where it can't be learnt."""
        return 1 if self.kind == NUMBER else self.classes

    @property
    def measure(self) -> str:
        """Return the primary measure of a model of this label alone."""
        if self.kind == NUMBER:
            return "mae"
        if self.classes == 2 or self.kind == SEVERAL:
            return "auc"
        return "kappa" if self.kind == GRADES else "accuracy"

    @property
    def share(self) -> str:
        """Return the measure that stands for this label in a mean over several: at most 1, and more is better."""
        return "r2" if self.kind == NUMBER else self.measure

    @property
    def parts(self) -> tuple[Label, ...]:
        """Return the labels that predictions are of: of several at once one for each, which is there or not."""
        if self.kind != SEVERAL:
            return (self,)
        return tuple(
            Label(part_name(self.name, name), CLASSES, name, of=self.of, names=(f"no {name}", name))
            for name in self.names
        )

    def described(self) -> dict[str, Any]:
        """Return what a manifest tells of it, as values of JSON."""
        told = {"name": self.name, "kind": self.kind, "classes": self.classes, "of": self.of}
        return {**told, "names": list(self.names)} if self.is_own else told


def primary(labels: Mapping[str, Label]) -> str:
    """Return the primary measure of a model of these labels, by head.

    Where several signs may be there at once, some labels are of patients and others of photographs, or some are
    numbers, there is no photograph for which all are right: `mean` is the mean of each label's `share`.
    """
    if len(labels) == 1:
        return next(iter(labels.values())).measure
    apart = len({label.is_own and label.of == PATIENT for label in labels.values()}) > 1
    are_classes = not any(label.kind in (SEVERAL, NUMBER) for label in labels.values())
    return "joint_accuracy" if are_classes and not apart else "mean"


def part_name(label: str, sign: str) -> str:
    """Name the part of a label of several at once that is about one of them."""
    return f"{label}: {sign}"


def read_label(described: Mapping[str, Any]) -> Label:
    """Return the label that a manifest or a fine-tuning describes.

    Raises KeyError, TypeError or ValueError where it is none: neither one of LABELS nor one of people's own.
    """
    name = str(described["name"])
    if name in LABELS and described.get("kind") == LABELS[name].learnt.kind:
        return LABELS[name].learnt
    if name in LABELS:
        return LABELS[name]
    kind, of = str(described["kind"]), str(described["of"])
    names = tuple(map(str, described["names"]))
    fitting = not names if kind == NUMBER else len(set(names)) == len(names) >= 2
    if kind not in OWN_KINDS or not fitting or of not in ("photograph", "patient"):
        raise ValueError(f"the label {name} is of no known kind")
    return Label(name, kind, name, of=of, names=names)  # type: ignore[arg-type]


ABNORMAL, DR_GRADE, DME_GRADE, GLAUCOMA = "abnormal", "dr_grade", "dme_grade", "glaucoma"
LABELS = {
    label.name: label
    for label in (
        Label(
            ABNORMAL,
            "binary",
            "abnormal",
            question=Question("abnormal", "abnormal photographs", "normal photographs"),
            titles=("normal", "abnormal"),
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
            titles=("no glaucoma", "glaucoma"),
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
RETINOPATHY = ("none", "mild", "moderate", "severe", "proliferative")  # the international scale, grades 0 to 4
OEDEMA = ("no exudates", "exudates far", "exudates near")  # hard ones, a disc's diameter from the macula, or nearer
CLASS_LABELS = tuple(name for name, label in LABELS.items() if label.classes)  # those that a classifier can learn
TABLED = tuple(  # labels that people's own tables may hold
    label
    for label in sorted(LABELS.values(), key=lambda label: KINDS.index(label.kind))
    if label.words or label.kind != "text"
)
PROBED = (ABNORMAL, DR_GRADE, GLAUCOMA)  # a probe learns the first that a data set has; above 0 is its positive class
