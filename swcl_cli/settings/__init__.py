"""Define the options of each step, once: name, type, default, range and description, as a model for each step."""

from __future__ import annotations

from typing import Any

from swcl_cli.settings.audit import AuditSettings
from swcl_cli.settings.export import ExportSettings
from swcl_cli.settings.finetune import FinetuneSettings
from swcl_cli.settings.make_swap import MakeSwapSettings
from swcl_cli.settings.path_parts import plain_part
from swcl_cli.settings.predict import PredictSettings
from swcl_cli.settings.prep import PrepSettings
from swcl_cli.settings.pretrain import PretrainSettings
from swcl_cli.settings.report import ReportSettings
from swcl_cli.settings.rows import ARTEFACTS, OPTIONS, ROW_KEY, ROWS, Precision, WeakLabel, is_own, prep_command
from swcl_cli.settings.step import SeededSettings, StepSettings, TrainingSettings
from swcl_cli.settings.study import StudySettings
from swcl_cli.settings.train_labeler import TrainLabelerSettings

__all__ = [
    "ARTEFACTS",
    "OPTIONS",
    "ROWS",
    "ROW_KEY",
    "STEPS",
    "AuditSettings",
    "ExportSettings",
    "FinetuneSettings",
    "MakeSwapSettings",
    "Precision",
    "PredictSettings",
    "PrepSettings",
    "PretrainSettings",
    "ReportSettings",
    "SeededSettings",
    "StepSettings",
    "StudySettings",
    "TrainLabelerSettings",
    "TrainingSettings",
    "WeakLabel",
    "is_own",
    "neutral_values",
    "plain_part",
    "prep_command",
]

STEPS: dict[str, type[StepSettings]] = {
    model.step: model
    for model in (
        PrepSettings,
        AuditSettings,
        TrainLabelerSettings,
        MakeSwapSettings,
        PretrainSettings,
        FinetuneSettings,
        ReportSettings,
        PredictSettings,
        ExportSettings,
        StudySettings,
    )
}


def neutral_values(step: str) -> dict[str, Any]:
    """Tell what the absence of a setting means in an artefact of this step, of the settings that declare it."""
    return STEPS[step].neutral_values() if step in STEPS else {}
