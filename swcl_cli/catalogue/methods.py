"""List the pretraining methods. To add one: a file in methods/ with its `prepare`, and a row in METHODS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """Describe a pretraining method.

    title: the paper's name. reads: what it trains on; about: what it does, in a few words. prepare: `module:function`
    below swcl_cli.methods, imported when it is used. options: the settings of `pretrain` that this method has and not
    all others have. defaults: its own values of settings. released_views: of a patch or photograph in a step of its
    variant `released`. taught_by: the data set of which that variant sees all photographs with their labels. tuned:
    whether learning rate and weight decay were tuned for this method; else they are SWCL's (FACTS D0).
    """

    name: str
    title: str
    reads: str
    about: str
    prepare: str
    options: tuple[str, ...]
    defaults: Mapping[str, Any]
    released_views: int = 2
    taught_by: str | None = None
    tuned: bool = False

    def views(self, variant: str | None) -> int:
        """Return how many views of a patch or photograph a step sees. variant: None where the method has one alone."""
        return self.released_views if variant == RELEASED else 2


OURS, RELEASED = "ours", "released"
RATES = {"learning_rate": 0.001, "weight_decay": 1e-4}  # SWCL's (paper IV-B)
ON_PATCHES = {"epochs": 40, **RATES}
ON_PHOTOGRAPHS = {"epochs": 200, **RATES}  # five times as many as on patches: as many steps (paper IV-B)
SUPERVISED = {**ON_PHOTOGRAPHS, "variant": RELEASED}  # as the authors made these baselines (FACTS D2)
CONTRASTIVE = ("projection", "temperature", "chunk")
PATCHES, PHOTOGRAPHS = "retinal-SWAP", "photographs of ODIR and EyePACS, no labels"
METHODS = {
    method.name: method
    for method in (
        Method(
            "swcl",
            "SWCL",
            PATCHES,
            "patches agree where position, abnormality and patient do",
            "swcl:prepare",
            ("swap", "batch_patches", "threshold", "labels", *CONTRASTIVE),
            ON_PATCHES,
            tuned=True,
        ),
        Method(
            "simclr",
            "SimCLR",
            PHOTOGRAPHS,
            "two views of a photograph against all others",
            "simclr:prepare",
            ("data", "batch_images", *CONTRASTIVE),
            ON_PHOTOGRAPHS,
        ),
        Method(
            "byol",
            "BYOL",
            PHOTOGRAPHS,
            "one view predicts what a running mean of the network makes of the other",
            "byol:prepare",
            ("data", "batch_images", "variant"),
            ON_PHOTOGRAPHS,
        ),
        Method(
            "dino",
            "DINO",
            PHOTOGRAPHS,
            "as byol, with a distribution over 4,096 classes without names",
            "dino:prepare",
            ("data", "batch_images", "variant"),
            ON_PHOTOGRAPHS,
        ),
        Method(
            "supervised-odir",
            "OIA-ODIR",
            "all labelled photographs of ODIR",
            "cross-entropy of normal and abnormal",
            "supervised:prepare_odir",
            ("batch_images", "variant"),
            SUPERVISED,
            released_views=1,
            taught_by="odir",
        ),
        Method(
            "supervised-eyepacs",
            "Kaggle-EyePACS",
            "all labelled photographs of EyePACS",
            "cross-entropy of retinopathy (level above 0) and none",
            "supervised:prepare_eyepacs",
            ("batch_images", "variant"),
            SUPERVISED,
            released_views=1,
            taught_by="eyepacs",
        ),
        Method(
            "multitask",
            "CE-multitask",
            PATCHES,
            "cross-entropy of abnormality, and a tenth of that of position",
            "multitask:prepare",
            ("swap", "batch_patches", "threshold", "variant"),
            ON_PATCHES,
            released_views=1,
        ),
        Method(
            "swcl-image",
            "SWCL-image",
            PATCHES,
            "as swcl, but a patch is abnormal where its whole photograph is",
            "swcl_image:prepare",
            ("batch_patches", "labels", *CONTRASTIVE),
            ON_PATCHES,
        ),
    )
}
