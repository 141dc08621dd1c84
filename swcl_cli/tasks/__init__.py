"""The fine-tuning tasks. To add one: a row in TASKS, its name in `settings/names.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

BLACK_AND_WHITE = (0, 255)  # values of a prepared mask (preparation/masks.py)
DISC_AND_CUP = (0, 128, 255)  # cup, rim, background


@dataclass(frozen=True)
class Task:
    """`heads` maps a head to its number of classes: a label column of the manifest, or a structure in the mask.

    grades: the class of each grade of a column, where it is not the grade itself. shades: the values of the mask that
    are a structure; mask: all that it may hold. ratio: two structures whose vertical diameters are compared. square:
    photographs were resized to squares. open: data set and heads are the user's to choose (tasks/own.py).
    """

    name: str
    dataset: str
    kind: Literal["classification", "segmentation"]
    heads: Mapping[str, int]
    measure: str  # the primary one, of FACTS 1
    grades: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    shades: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    mask: tuple[int, ...] = BLACK_AND_WHITE
    ratio: tuple[str, str] | None = None
    square: bool = False
    open: bool = False


GRADED = {"dr_grade": 5, "dme_grade": 3}
REFERABLE = (0, 0, 1, 1)  # grades 0 and 1 against 2 and 3 (paper, Table I)
LABELS = {"abnormal": 2, "glaucoma": 2, **GRADED}
VESSELS, VESSEL_SHADES = {"vessel": 2}, {"vessel": (255,)}

TASKS = {
    task.name: task
    for task in (
        Task(
            "messidor", "messidor", "classification", {"dr_grade": 2, "dme_grade": 3}, "joint_accuracy",
            grades={"dr_grade": REFERABLE},
        ),
        Task("idrid", "idrid", "classification", GRADED, "joint_accuracy"),
        Task("refuge-cls", "refuge-cls", "classification", {"glaucoma": 2}, "auc"),
        Task("drive", "drive", "segmentation", VESSELS, "f1", shades=VESSEL_SHADES),
        Task("stare", "stare", "segmentation", VESSELS, "f1", shades=VESSEL_SHADES),
        Task("chase-db1", "chase-db1", "segmentation", VESSELS, "f1", shades=VESSEL_SHADES),
        Task(
            "refuge-seg", "refuge-seg", "segmentation", {"disc": 2, "cup": 2}, "f1",
            shades={"disc": (0, 128), "cup": (0,)}, mask=DISC_AND_CUP, ratio=("cup", "disc"), square=True,
        ),
        Task("folder", "folder", "classification", LABELS, "joint_accuracy", open=True),
    )
}  # fmt: skip
