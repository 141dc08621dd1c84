"""Define the settings of `make-swap`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from swcl_cli.datasets import KNOWN_LESIONS
from swcl_cli.settings.labelled_sets import LabelledSets, unasked_normal
from swcl_cli.settings.path_parts import PathParts
from swcl_cli.settings.rows import Precision
from swcl_cli.settings.step import REPRODUCTION, ClusterSettings, Names, Rule, setting, unseen_tests


class MakeSwapSettings(ClusterSettings):
    """Set how `swcl make-swap` turns class activation maps into five weakly labelled patches per eye (paper III-B)."""

    step: ClassVar[str] = "make-swap"
    derived: ClassVar[frozenset[str]] = frozenset({"left_out", "turned"})  # told with --without-tests, --align
    rules: ClassVar[Mapping[str, Rule]] = {  # FACTS A8
        "right_eyes": Rule(now="scored, then mirrored", untold="mirrored, then scored"),
    }

    labeler: Path | None = setting(
        None,
        "Labeler file, ours or the authors' pytorch_model.bin, or FILE#KEY; by default the workspace's "
        "labeler.safetensors.",
        panel="Model",
        runtime=True,
    )
    labelled: LabelledSets | None = setting(
        None,
        "Data sets whose normal photographs score 0, as NAME, or NAME:LABEL with --normal; by default the labeler's "
        "own (else odir).",
        panel="Data",
    )
    normal: Names | None = setting(
        None,
        "Classes that are normal, joined by commas, of the labels in --labelled; by default the labeler's.",
        panel="Data",
        neutral=[],
    )
    unlabelled: PathParts | None = setting(
        None, "Data sets scored without labels; by default the labeler's own (else eyepacs).", panel="Data"
    )
    without_tests: PathParts = unseen_tests()
    align: bool = setting(
        False,
        "Turn photographs that lie upside down, and mirror the eyes that are seen to be right ones, by swcl audit.",
        panel="Data",
        neutral=False,
    )
    judge_on: PathParts | None = setting(
        None,
        "Data sets with masks of lesions to judge the scores on, never to pretrain on; by default those of "
        f"{', '.join(KNOWN_LESIONS)} that are prepared.",
        panel="Data",
        runtime=True,
    )
    materialize: Path | None = setting(
        None,
        "Folder that is to hold the patches as JPEG files too, with labels.csv, as the authors released theirs.",
        panel="Data",
        runtime=True,
    )
    threshold: float = setting(
        0.4, "Lesion score t at and above which a patch is abnormal.", panel="Labels", ge=0, le=1
    )
    background: Literal["released", "none"] = setting(
        "released", "Scores outside the retina: zeroed as in the released code, or left alone.", panel=REPRODUCTION
    )
    precision: Precision = setting("fp32", "Arithmetic of the network.", panel="Machine")
    batch: int = setting(16, "Images a forward pass.", panel="Machine", ge=1)
    fresh: bool = setting(False, "Score again, even if swap.parquet is there.", panel="Machine", runtime=True)
    workers: int = setting(1, "Processes that decode images.", panel="Machine", runtime=True, ge=0, le=256)
    accelerator: Literal["auto", "cpu", "gpu"] = setting("auto", "Where to compute.", panel="Machine", runtime=True)

    @model_validator(mode="after")
    def _normal_of_a_label(self) -> Self:
        if reason := unasked_normal(self.labelled, self.normal):
            raise ValueError(reason)
        return self
