"""One model a step: the only place where an option has a name, a type, a default, a range and a description."""

from __future__ import annotations

from swcl_cli.settings.finetune import FinetuneSettings
from swcl_cli.settings.make_swap import MakeSwapSettings
from swcl_cli.settings.names import (
    ALL,
    ARTEFACTS,
    DATASET_OPTIONS,
    DATASET_ROWS,
    DATASETS,
    METHOD_ROWS,
    METHODS,
    OPTIONS,
    OWN,
    ROW_KEY,
    ROWS,
    TASK_ROWS,
    TASKS,
    Architecture,
    Dataset,
    Method,
    Precision,
    Task,
    WeakLabel,
    prep_command,
)
from swcl_cli.settings.path_parts import plain_part
from swcl_cli.settings.predict import PredictSettings
from swcl_cli.settings.prep import PrepSettings
from swcl_cli.settings.pretrain import PretrainSettings
from swcl_cli.settings.report import ReportSettings
from swcl_cli.settings.step import SeededSettings, StepSettings, TrainingSettings
from swcl_cli.settings.train_labeler import TrainLabelerSettings

__all__ = [
    "ALL",
    "ARTEFACTS",
    "DATASETS",
    "DATASET_OPTIONS",
    "DATASET_ROWS",
    "METHODS",
    "METHOD_ROWS",
    "OPTIONS",
    "OWN",
    "ROWS",
    "ROW_KEY",
    "STEPS",
    "TASKS",
    "TASK_ROWS",
    "Architecture",
    "Dataset",
    "FinetuneSettings",
    "MakeSwapSettings",
    "Method",
    "Precision",
    "PredictSettings",
    "PrepSettings",
    "PretrainSettings",
    "ReportSettings",
    "SeededSettings",
    "StepSettings",
    "Task",
    "TrainLabelerSettings",
    "TrainingSettings",
    "WeakLabel",
    "plain_part",
    "prep_command",
]

STEPS: dict[str, type[StepSettings]] = {
    model.step: model
    for model in (
        PrepSettings,
        TrainLabelerSettings,
        MakeSwapSettings,
        PretrainSettings,
        FinetuneSettings,
        ReportSettings,
        PredictSettings,
    )
}
