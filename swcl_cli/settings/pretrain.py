"""Define the settings of `pretrain`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from swcl_cli.catalogue.encoders import DEFAULT, UNTRAINED
from swcl_cli.catalogue.methods import METHODS, OURS, RELEASED
from swcl_cli.settings.path_parts import PathPart, PathParts
from swcl_cli.settings.rows import ARTEFACTS, Method
from swcl_cli.settings.step import REPRODUCTION, TrainingSettings, WeakLabels, setting, unseen_tests


class PretrainSettings(TrainingSettings):
    """Set how `swcl pretrain` trains an encoder, by SWCL (paper III-C) or a method that it is compared with (IV-B)."""

    step: ClassVar[str] = "pretrain"
    derived: ClassVar[frozenset[str]] = frozenset(
        {"grid_probe", "left_out"}
    )  # by what a grid chose; with --without-tests
    decides: ClassVar[Mapping[str, tuple[str, ...]]] = {"grid": ("learning_rate", "weight_decay")}

    method: Method = setting("swcl", "Pretraining method.", panel="Model")
    name: PathPart | None = setting(None, "Name of the artefact; by default the method's.", panel="Data", runtime=True)
    architecture: str | None = setting(
        None,
        f"Encoder, by any timm name (default {DEFAULT}); a checkpoint of ours knows its own.",
        panel="Model",
    )
    init: str = setting(
        "random",
        "Initial weights: `random` (the paper), `imagenet`, `bit-m`, or a file with weights; FILE#KEY names one of "
        "several networks in it.",
        panel="Model",
        runtime=True,
    )
    frozen_bn: bool = setting(
        False,
        "Keep BatchNorm, its statistics and weights, as the initial weights have it; random ones train theirs all the "
        "same.",
        panel="Model",
        neutral=False,
    )
    variant: Literal["ours", "released"] = setting(
        OURS,
        "Which form it has where the released code's differs from ours (FACTS C12, D1, D2). Supervised, released: all "
        "labelled photographs at full size, cropped and flipped; ours: the train split, in contrastive views of half "
        "the size.",
        panel="Model",
        neutral=OURS,
    )
    projection: int = setting(128, "Width of the projector's output.", panel="Model", ge=2)
    labels: WeakLabels = setting(
        ["position", "abnormality", "patient"],
        "Labels in which positives agree, joined by commas.",
        panel="Labels",
    )
    threshold: float | None = setting(
        None, "Lesion score t; by default that of swap.parquet.", panel="Labels", ge=0, le=1
    )
    data: PathParts = setting(
        ["odir", "eyepacs"],
        "Prepared data sets whose photographs train, of all splits, without labels; joined by commas.",
        panel="Data",
        min_length=1,
    )
    without_tests: PathParts = unseen_tests()
    swap: Path | None = setting(
        None,
        "Folder of the authors' retinal-SWAP (patches and labels.csv), in place of swap.parquet.",
        panel="Data",
        runtime=True,
    )
    flip: Literal["keep", "off"] = setting(
        "keep", "Whether views are flipped at random; a flip leaves the position label as it is.", panel=REPRODUCTION
    )
    smallest_crop: float = setting(
        0.8,
        "Least share of a patch or photograph that a random crop shows; SimCLR's is 0.08.",
        panel="Data",
        gt=0,
        le=1,
    )
    temperature: float = setting(0.1, "Temperature of the contrastive loss.", panel="Training", gt=0)
    batch_patches: int = setting(
        496,
        "Patches a step, in pairs of left and right; each gives 2 views.",
        panel="Training",
        ge=4,
        multiple_of=2,
    )
    batch_images: int = setting(
        256,
        "Photographs a step; each gives 2 views, of a supervised baseline 1.",
        panel="Training",
        ge=2,
    )
    chunk: int = setting(
        0,
        "Views encoded at a time; 0 encodes all at once. Less memory, a third more time, the "
        "same gradient (BatchNorm takes its statistics of each chunk alone).",
        panel="Training",
        ge=0,
    )
    epochs: int = setting(40, "Passes over all pairs, or photographs.", panel="Training", ge=1)
    views: int | None = setting(
        None,
        "Views after which training ends, in place of --epochs: methods can be compared at equal cost.",
        panel="Training",
        ge=1,
    )
    warmup_epochs: int = setting(5, "Epochs of linear warm-up before the cosine.", panel="Training", ge=0)
    learning_rate: float = setting(0.001, "Base learning rate (AdamW).", panel="Training", gt=0)
    weight_decay: float = setting(1e-4, "Weight decay; norms and biases have none.", panel="Training", ge=0)
    grid: bool = setting(
        False,
        "Try rates 0.001, 0.003, 0.0003 with decays 0.0001, 0.01 first, and take the best by the probe (FACTS D0).",
        panel="Training",
        neutral=False,
    )
    grid_share: float = setting(
        1.0,
        "With --grid: share of the steps that each point trains; at 1 the best point is the result, below it a whole "
        "training with its rates follows.",
        panel="Training",
        neutral=1.0,
        gt=0,
        le=1,
    )
    probe_every: int = setting(
        5, "Epochs between two k-nearest-neighbour probes; 0 never probes.", panel="Probe", runtime=True, ge=0
    )
    probe_data: PathPart = setting(
        "odir", "Prepared data set with labels that the probe looks at.", panel="Probe", runtime=True
    )

    @property
    def teaches_the_probe(self) -> bool:
        """Return whether the method trains on all photographs that the probe looks at, with their labels (FACTS D2)."""
        return self.variant == RELEASED and METHODS[self.method].taught_by == self.probe_data

    def defining(self) -> dict[str, Any]:
        """Return the settings that define the result, with the data set by which a grid chooses."""
        told = super().defining() | ({"grid_probe": self.probe_data} if self.grid else {})
        return told | {"frozen_bn": self.frozen_bn and self.init != UNTRAINED}

    @model_validator(mode="after")
    def _grid_by_unseen_photographs(self) -> Self:
        if self.grid_share < 1 and not self.grid:
            raise ValueError("grid_share: there is no grid without --grid")
        if self.grid and self.teaches_the_probe:
            raise ValueError(
                f"grid: {self.method} trains on all photographs of {self.probe_data}, with their labels, and would "
                "choose by those; name other labelled ones with --probe-data"
            )
        return self

    @model_validator(mode="after")
    def _no_other_artefact(self) -> Self:
        if self.name and self.name.casefold() in ARTEFACTS:
            raise ValueError(f"name: {self.name} is what the workspace calls another artefact; take another name")
        return self
