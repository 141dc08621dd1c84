"""Define the settings of `train-labeler`."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from swcl_cli.settings.labelled_sets import LabelledSets, unasked_normal
from swcl_cli.settings.path_parts import PathParts
from swcl_cli.settings.step import (
    REPRODUCTION,
    Integers,
    Names,
    TrainingSettings,
    require_time_to_rise,
    setting,
    unseen_tests,
)


class TrainLabelerSettings(TrainingSettings):
    """Set how `swcl train-labeler` trains the labeler, a semi-supervised classifier (S4L, paper III-A)."""

    step: ClassVar[str] = "train-labeler"
    derived: ClassVar[frozenset[str]] = frozenset({"copies_left_out", "left_out"})  # told where there are some

    labelled: LabelledSets = setting(
        ["odir"],
        "Prepared data sets with normal/abnormal labels; NAME:LABEL takes any label, of which --normal says what is "
        "normal. Photographs without it are left out.",
        panel="Data",
        min_length=1,
    )
    normal: Names = setting(
        [],
        "Classes that are normal, joined by commas, of the labels in --labelled; all others are abnormal. Of several "
        "signs at once a photograph is normal that has none, or none but these.",
        panel="Data",
        neutral=[],
    )
    unlabelled: PathParts = setting(
        ["eyepacs"],
        "Prepared data sets used without labels; '' is plain supervised: the loss is the cross-entropy alone.",
        panel="Data",
    )
    without_tests: PathParts = unseen_tests()
    architecture: str = setting(
        "resnet34",
        "Network, by its timm name. resnet18 and resnet34 keep a map of a sixteenth of the photograph, as the paper's; "
        "any other gives the map of its last stage.",
        panel="Model",
    )
    init: str = setting(
        "random",
        "Initial weights: `random` (the paper), `imagenet`, `bit-m`, or a file with weights of this network; FILE#KEY "
        "names one of several networks in it.",
        panel="Model",
        runtime=True,
    )
    last_norm: Literal["zero", "one"] = setting(
        "zero",
        "Random weights of resnet18 and resnet34: the last norm of each block, zero as of timm's networks, one as of "
        "torchvision's.",
        panel=REPRODUCTION,
        neutral="zero",
    )
    crop: int = setting(384, "Side of a training view in pixels.", panel="Data", ge=32)
    views: int = setting(4, "Augmented views of each image in a step.", panel="Training", ge=2)
    batch_labelled: int = setting(64, "Labelled images a forward pass.", panel="Training", ge=1)
    batch_unlabelled: int = setting(64, "Unlabelled images a forward pass.", panel="Training", ge=1)
    chunk: int = setting(
        0,
        "Views encoded at a time, labelled and unlabelled as in the batch; 0 encodes all at once. Less memory, a third "
        "more time; BatchNorm takes its statistics of each chunk alone.",
        panel="Training",
        neutral=0,
        ge=0,
    )
    accumulate: int = setting(4, "Forward passes an optimiser step.", panel="Training", ge=1)
    epochs: int = setting(200, "Passes over the labelled images.", panel="Training", ge=1)
    optimizer: Literal["sgd", "adamw"] = setting(
        "sgd", "SGD with Nesterov momentum 0.9, as the paper's, or AdamW.", panel="Training", neutral="sgd"
    )
    learning_rate: float = setting(0.03, "Base learning rate, of --schedule the highest.", panel="Training", gt=0)
    weight_decay: float = setting(0.001, "Weight decay; norms and biases have none.", panel="Training", ge=0)
    schedule: Literal["milestones", "cosine"] = setting(
        "milestones",
        "Learning rate after the warm-up: falls to a tenth after each of --milestones, or by a cosine to 0.",
        panel="Training",
        neutral="milestones",
    )
    milestones: Integers = setting([140, 160, 180], "Epochs after which the rate falls to a tenth.", panel="Training")
    warmup_epochs: int = setting(
        0, "Epochs in which the learning rate rises linearly first.", panel="Training", neutral=0, ge=0
    )
    clip: float = setting(
        0.0, "Norm that a step's gradient has at most; 0: no limit.", panel="Training", neutral=0.0, ge=0
    )
    triplet_weight: float = setting(1.0, "Weight w of the triplet loss of all views.", panel="Training", ge=0)
    mining: Literal["semi-hard", "batch-hard"] = setting("semi-hard", "How triplets are chosen.", panel=REPRODUCTION)
    margin: float = setting(0.5, "Margin of the triplet loss.", panel="Training", gt=0)
    soft_margin: bool = setting(
        False,
        "Take log(1 + e^x) of a triplet in place of the hinge max(x, 0); x keeps the margin.",
        panel=REPRODUCTION,
        neutral=False,
    )
    keep: Literal["last", "best"] = setting("last", "Which epoch becomes the labeler (best: by AUC).", panel="Training")

    @property
    def least_chunk(self) -> int:
        """Return the fewest views a chunk that leave two of each kind, in the proportion of the batch."""
        sizes = (self.batch_labelled, self.batch_unlabelled) if self.unlabelled else (self.batch_labelled,)
        return 2 * -(-sum(sizes) // min(sizes))

    @model_validator(mode="after")
    def _normal_of_a_label(self) -> Self:
        if reason := unasked_normal(self.labelled, self.normal):
            raise ValueError(reason)
        return self

    @model_validator(mode="after")
    def _one_course_of_the_rate(self) -> Self:
        if self.schedule == "cosine" and "milestones" in self.model_fields_set and self.milestones:
            raise ValueError("milestones: a cosine has none; leave them out, or take --schedule milestones")
        require_time_to_rise(self.warmup_epochs, self.epochs)
        return self

    @model_validator(mode="after")
    def _mixed_chunks(self) -> Self:
        if 0 < self.chunk < self.least_chunk:
            batch = f"{self.batch_labelled} labelled"
            batch += f" and {self.batch_unlabelled} unlabelled images" if self.unlabelled else " images"
            raise ValueError(
                f"chunk: {self.chunk} at a time are too few of the views of {batch}: "
                f"take {self.least_chunk} or more, or 0 for all at once"
            )
        return self
