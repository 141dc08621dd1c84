"""Define the settings of `export`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from swcl_cli.settings.step import StepSettings, encoders_square, setting, untold_architecture


class ExportSettings(StepSettings):
    """Set how `swcl export` writes a model or an encoder for other programs."""

    step: ClassVar[str] = "export"

    model: Path = setting(
        ...,
        "Model that `finetune` wrote, finetune/TASK/NAME/RUN/model.safetensors; or an encoder: a file of `pretrain`, "
        "or other weights, as --init takes them.",
        panel="Data",
        runtime=True,
    )
    to: Literal["onnx", "torchscript", "folder"] = setting(
        "folder",
        "What is written: model.onnx; model.pt of TorchScript; or config.json and model.safetensors, as timm loads "
        "them. A model card is beside each.",
        panel="Data",
        neutral="folder",
    )
    out: Path = setting(..., "Folder for what is written; a new one, or an empty one.", panel="Data", runtime=True)
    architecture: str | None = untold_architecture()
    crop: int | None = encoders_square()
