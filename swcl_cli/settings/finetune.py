"""Settings of `finetune`."""

from __future__ import annotations

from typing import ClassVar, Literal

from swcl_cli.settings.names import Architecture, Task
from swcl_cli.settings.step import TrainingSettings, setting


class FinetuneSettings(TrainingSettings):
    """`swcl finetune`: an encoder -> a model and a score for a public task (paper IV)."""

    step: ClassVar[str] = "finetune"

    task: Task = setting(..., "Which public task.", panel="Data")
    init: str = setting("random", "Initial weights: a checkpoint of ours, or `random`.", panel="Model", runtime=True)
    name: str | None = setting(
        None, "Name of the row in the report; by default that of --init.", panel="Data", runtime=True
    )
    architecture: Architecture | None = setting(
        None,
        "Encoder, by its timm name; for `random` (default resnetv2_50x1_bit): a checkpoint knows its own.",
        panel="Model",
    )
    decoder: Literal["deeplabv3plus", "smp-unet"] = setting(
        "deeplabv3plus",
        "Segmentation: the paper's network, or the U-Net of segmentation-models-pytorch.",
        panel="Model",
    )
    output_stride: Literal[8, 16] = setting(
        8, "Segmentation: stride of the encoder's last features under DeepLabv3+.", panel="Model"
    )
    crop: int = setting(224, "Side of a training view, or window, in pixels.", panel="Data", ge=32)
    batch: int = setting(64, "Images a step.", panel="Training", ge=1)
    epochs: int = setting(
        120, "Most epochs; training stops after a fifth of them without progress.", panel="Training", ge=1
    )
    validate_every: int = setting(1, "Epochs between two validations.", panel="Training", ge=1)
    learning_rate: float = setting(0.1, "Constant learning rate (SGD with Nesterov momentum).", panel="Training", gt=0)
    weight_decay: float = setting(5e-4, "Weight decay.", panel="Training", ge=0)
    seeds: int = setting(5, "Runs, with the seeds --seed, --seed + 1, ...", panel="Chance", runtime=True, ge=1)
