"""Define the settings of `study`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from swcl_cli.settings.step import Names, StepSettings, setting


class StudySettings(StepSettings):
    """Set how `swcl study` plans the comparison of initialisations on the workspace's own data."""

    step: ClassVar[str] = "study"

    hours: float = setting(
        2.0,
        "Hours that a call of the plan may take; no command begins after them, and the same call goes on later.",
        panel="Data",
        runtime=True,
        gt=0,
    )
    preset: str = setting(
        "small", "Preset, or TOML file, whose settings all commands of the plan take.", panel="Settings", runtime=True
    )
    tasks: Names = setting(
        [],
        "Tasks, joined by commas: public ones, and prepared sets of photographs with a label abnormal; by default all "
        "whose data are prepared.",
        panel="Data",
        runtime=True,
    )
    initialisations: Names = setting(
        [],
        "Initial weights that are compared, joined by commas: random, imagenet, METHOD, METHOD-from-imagenet; by "
        "default random, imagenet, and simclr, supervised-odir, multitask, swcl-image and swcl from both.",
        panel="Model",
        runtime=True,
    )
    views: int | None = setting(
        None,
        "Views of each pretraining, the same for all; by default as many as half of the hours allow.",
        panel="Training",
        runtime=True,
        ge=1,
    )
    seed: int = setting(
        0,
        "First seed of the fine-tunings; the pretrainings keep the preset's.",
        panel="Chance",
        runtime=True,
        ge=0,
        le=1_000_000_000,
    )
    seeds: int = setting(
        3, "Most seeds of each fine-tuning; the second begins when all have one.", panel="Chance", runtime=True, ge=1
    )
    fresh: bool = setting(
        False,
        "Measure and plan anew; finished work with as many views stays, and is part of the plan.",
        panel="Machine",
        runtime=True,
    )
    collect: Path | None = setting(
        None,
        "In place of planning, add the workspace's finished runs to runs.csv and comparisons.csv of this folder: "
        "scores, seeds and costs alone.",
        panel="Data",
        runtime=True,
    )
