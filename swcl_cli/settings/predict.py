"""Define the settings of `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from swcl_cli.settings.step import StepSettings, setting


class PredictSettings(StepSettings):
    """Set how `swcl predict` applies a model of a task to photographs of any kind."""

    step: ClassVar[str] = "predict"

    model: Path = setting(
        ..., "Model that `finetune` wrote: finetune/TASK/NAME/RUN/model.safetensors.", panel="Data", runtime=True
    )
    images: list[Path] = setting(
        ...,
        "Photographs, or folders and archives that hold some.",
        panel="Data",
        runtime=True,
        min_length=1,
    )
    out: Path = setting(..., "Folder for what is written; a new one, or an empty one.", panel="Data", runtime=True)
    workers: int = setting(1, "Processes that decode photographs.", panel="Machine", runtime=True, ge=0, le=256)
    accelerator: Literal["auto", "cpu", "gpu"] = setting("auto", "Where to compute.", panel="Machine", runtime=True)
