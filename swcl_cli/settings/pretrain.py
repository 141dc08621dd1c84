"""Settings of `pretrain`."""

from __future__ import annotations

from typing import ClassVar

from swcl_cli.settings.names import Architecture, Method
from swcl_cli.settings.step import TrainingSettings, WeakLabels, setting


class PretrainSettings(TrainingSettings):
    """`swcl pretrain`: an encoder from weakly labelled patches (paper III-C)."""

    step: ClassVar[str] = "pretrain"

    method: Method = setting("swcl", "Pretraining method.", panel="Model")
    name: str | None = setting(None, "Name of the artefact; by default the method's.", panel="Data", runtime=True)
    architecture: Architecture = setting("resnetv2_50x1_bit", "Encoder, by its timm name.", panel="Model")
    projection: int = setting(128, "Width of the projector's output.", panel="Model", ge=2)
    labels: WeakLabels = setting(
        ["position", "abnormality", "patient"], "Labels in which positives agree, joined by commas.", panel="Labels"
    )
    threshold: float | None = setting(
        None, "Lesion score t; by default that of swap.parquet.", panel="Labels", ge=0, le=1
    )
    temperature: float = setting(0.1, "Temperature of the contrastive loss.", panel="Training", gt=0)
    batch_patches: int = setting(
        496, "Patches a step, in pairs of left and right; each gives 2 views.", panel="Training", ge=4, multiple_of=2
    )
    epochs: int = setting(40, "Passes over all pairs.", panel="Training", ge=1)
    warmup_epochs: int = setting(5, "Epochs of linear warm-up before the cosine.", panel="Training", ge=0)
    learning_rate: float = setting(0.001, "Base learning rate (AdamW).", panel="Training", gt=0)
    weight_decay: float = setting(1e-4, "Weight decay; norms and biases have none.", panel="Training", ge=0)
