"""List the pretraining methods. To add one: a file in methods/ with its `prepare`, and a row in METHODS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """Describe a pretraining method.

    title: the paper's name. prepare: `module:function` below swcl_cli.methods, imported when it is used. options: the
    settings of `pretrain` that this method has and not all others have. defaults: settings that differ from the step's.
    """

    name: str
    title: str
    prepare: str
    options: tuple[str, ...]
    defaults: Mapping[str, Any]


ON_PATCHES = {"epochs": 40}
ON_PHOTOGRAPHS = {"epochs": 200}  # five times as many as on patches: as many steps (paper IV-B)
CONTRASTIVE = ("projection", "temperature", "chunk")
METHODS = {
    method.name: method
    for method in (
        Method(
            "swcl",
            "SWCL",
            "swcl:prepare",
            ("swap", "batch_patches", "threshold", "labels", *CONTRASTIVE),
            ON_PATCHES,
        ),
        Method("simclr", "SimCLR", "simclr:prepare", ("data", "batch_images", *CONTRASTIVE), ON_PHOTOGRAPHS),
        Method("byol", "BYOL", "byol:prepare", ("data", "batch_images"), ON_PHOTOGRAPHS),
        Method("dino", "DINO", "dino:prepare", ("data", "batch_images"), ON_PHOTOGRAPHS),
        Method("supervised-odir", "OIA-ODIR", "supervised:prepare_odir", ("batch_images",), ON_PHOTOGRAPHS),
        Method("supervised-eyepacs", "Kaggle-EyePACS", "supervised:prepare_eyepacs", ("batch_images",), ON_PHOTOGRAPHS),
        Method("multitask", "CE-multitask", "multitask:prepare", ("swap", "batch_patches", "threshold"), ON_PATCHES),
        Method("swcl-image", "SWCL-image", "swcl_image:prepare", ("batch_patches", "labels", *CONTRASTIVE), ON_PATCHES),
    )
}
