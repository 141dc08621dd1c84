"""List the fine-tuning tasks. To add one: a row in TASKS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swcl_cli.catalogue.labels import DME_GRADE, DR_GRADE, GLAUCOMA, LABELS, NUMBER, TABLED, Label, Question
from swcl_cli.catalogue.structures import Shade, Structures

CLASSIFICATION, SEGMENTATION = "classification", "segmentation"  # kinds, as tasks/ registers them
OWN = "folder"  # photographs of people's own
ALL = "all"  # each public task
NO_STRUCTURES = Structures((), ())


@dataclass(frozen=True)
class Grouping:
    """Say how grades of a label column become classes.

    classes: the class of each grade; words: the grades of each class; titles: what figures call the classes; question:
    what a classifier answers about a photograph.
    """

    classes: tuple[int, ...]
    words: tuple[str, ...]
    titles: tuple[str, ...]
    question: Question


@dataclass(frozen=True)
class Task:
    """Describe a fine-tuning task.

    heads: the number of classes of each head, which is a label column of the manifest or a structure in the mask; of a
    number it is 1.
    measure: the primary measure (FACTS 1). groupings: of label columns whose classes are not the grades themselves.
    own: by head, the labels of people's own.
    structures: what the values of a mask mean. ratio: two structures whose vertical diameters are compared. square:
    photographs were resized to squares. open: the user chooses data set and heads (tasks/own.py). defaults: settings of
    `finetune` that differ from the step's. options: settings that this task alone has.
    """

    name: str
    dataset: str
    kind: str
    heads: Mapping[str, int]
    measure: str
    title: str
    defaults: Mapping[str, Any]
    groupings: Mapping[str, Grouping] = field(default_factory=dict)
    own: Mapping[str, Label] = field(default_factory=dict)
    structures: Structures = NO_STRUCTURES
    ratio: tuple[str, str] | None = None
    square: bool = False
    open: bool = False
    options: tuple[str, ...] = ()

    def called(self, data: str | None) -> str:
        """Name the task on a data set of the user's choice; None where the task has no such choice."""
        return self.name if data in (None, self.dataset) else f"{self.name}-{data}"

    @property
    def described(self) -> dict[str, Label]:
        """Return the labels, by head, of people's own and of numbers: what photographs may lack, or are not of."""
        public = {head: LABELS[head] for head in self.heads if head in LABELS and LABELS[head].kind == NUMBER}
        return {**public, **self.own}

    @property
    def numbers(self) -> list[str]:
        """List the heads that are numbers."""
        return [head for head, label in self.described.items() if label.kind == NUMBER]

    @property
    def grades(self) -> dict[str, tuple[int, ...]]:
        """Return the class of each grade, for the columns whose classes are not the grades themselves."""
        return {head: grouping.classes for head, grouping in self.groupings.items()}


REFERABLE = Grouping(  # grades 0 and 1 against 2 and 3 (paper, Table I)
    classes=(0, 0, 1, 1),
    words=("0-1", "2-3"),
    titles=("not referable", "referable"),
    question=Question(
        "referable retinopathy", "photographs with retinopathy of grade 2 or 3", "photographs of grade 0 or 1"
    ),
)
GRADES = {name: LABELS[name].classes for name in (DR_GRADE, DME_GRADE)}
ANY_LABEL = {label.name: label.outputs for label in TABLED if label.outputs}
VESSELS: Mapping[str, Any] = {
    "heads": {"vessel": 2},
    "structures": Structures.two_valued("vessel"),
    "measure": "f1",
}
DISC_AND_CUP = Structures(  # the cup, the rim, and the background (preparation/masks.py)
    ("disc", "cup"), (Shade(0, ("disc", "cup")), Shade(128, ("disc",)), Shade(255))
)
LESIONS = ("microaneurysm", "haemorrhage", "hard_exudate", "soft_exudate")  # structures that are signs of disease
LESIONS_AND_DISC = Structures.layered((*LESIONS, "disc"))
CROPS_OF_PHOTOGRAPHS = {"crop": 224, "batch": 64, "epochs": 120}  # FACTS 1, fine-tuning
CROPS_OF_MASKS = {"crop": 384, "batch": 8, "epochs": 300}

# In the paper's order (Table II), then others.
TASKS = {
    task.name: task
    for task in (
        Task(
            "messidor",
            "messidor",
            CLASSIFICATION,
            {**GRADES, DR_GRADE: 2},
            "joint_accuracy",
            "Messidor",
            {**CROPS_OF_PHOTOGRAPHS, "folds": 5, "seeds": 1},  # has no splits; five runs, as all
            groupings={DR_GRADE: REFERABLE},
        ),
        Task("idrid", "idrid", CLASSIFICATION, GRADES, "joint_accuracy", "IDRiD", CROPS_OF_PHOTOGRAPHS),
        Task("refuge-cls", "refuge-cls", CLASSIFICATION, {GLAUCOMA: 2}, "auc", "REFUGE-cls", CROPS_OF_PHOTOGRAPHS),
        Task("drive", "drive", SEGMENTATION, title="DRIVE", defaults=CROPS_OF_MASKS, **VESSELS),
        Task("chase-db1", "chase-db1", SEGMENTATION, title="CHASE_DB1", defaults=CROPS_OF_MASKS, **VESSELS),
        Task("stare", "stare", SEGMENTATION, title="STARE", defaults=CROPS_OF_MASKS, **VESSELS),
        Task(
            "refuge-seg",
            "refuge-seg",
            SEGMENTATION,
            {"disc": 2, "cup": 2},
            "f1",
            "REFUGE-seg",
            CROPS_OF_MASKS,
            structures=DISC_AND_CUP,
            ratio=("cup", "disc"),
            square=True,
        ),
        Task(
            "idrid-seg",
            "idrid-seg",
            SEGMENTATION,
            dict.fromkeys(LESIONS_AND_DISC.names, 2),
            "f1",
            "IDRiD-seg",
            CROPS_OF_MASKS,
            structures=LESIONS_AND_DISC,
        ),
        Task(
            OWN,
            "folder",
            CLASSIFICATION,
            ANY_LABEL,
            "joint_accuracy",
            "folder",
            {"crop": 224, "batch": 16, "epochs": 120},
            open=True,
            options=("data", "heads"),
        ),
    )
}
