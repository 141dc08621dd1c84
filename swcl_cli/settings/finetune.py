"""Define the settings of `finetune`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from swcl_cli.catalogue.encoders import DEFAULT
from swcl_cli.catalogue.tasks import OWN
from swcl_cli.settings.path_parts import PathPart
from swcl_cli.settings.rows import Task
from swcl_cli.settings.step import (
    REPRODUCTION,
    ClusterSettings,
    Names,
    TrainingSettings,
    require_time_to_rise,
    setting,
)

OF_TRAINING = frozenset(  # what a probe does without
    {"freeze", "decoder", "output_stride", "loss", "batch", "epochs", "least_steps", "focus", "validate_every"}
    | {"precise_bn", "optimizer", "learning_rate", "schedule", "warmup_epochs", "layer_decay", "weight_decay", "clip"}
)


class FinetuneSettings(ClusterSettings, TrainingSettings):
    """Set how `swcl finetune` turns an encoder into a model of a public task, and scores it (paper IV)."""

    step: ClassVar[str] = "finetune"
    derived: ClassVar[frozenset[str]] = frozenset({"fold", "grid_seed"})
    decides: ClassVar[Mapping[str, tuple[str, ...]]] = {"grid": ("learning_rate", "weight_decay")}
    idle_with: ClassVar[Mapping[str, frozenset[str]]] = {"probe": OF_TRAINING}

    task: Task = setting(..., f"Which public task; {OWN}: photographs of your own.", panel="Data")
    data: PathPart = setting(OWN, "Prepared data set that is learnt.", panel="Data")
    heads: Names = setting(
        [],
        "What is learnt: mask, or labels joined by commas; by default the masks, else all labels that no photograph "
        "lacks and all of your own, but numbers where there are classes. What chooses the epoch is the mean absolute "
        "error of a number alone; beside other labels the mean of its R2 and of theirs.",
        panel="Data",
    )
    init: str = setting(
        "random",
        "Initial weights: random, imagenet, bit-m, or a file: a checkpoint of ours, a state dict of timm or "
        "torchvision, BiT's .npz, the authors' pytorch_model.bin; FILE#KEY names one of several networks in it.",
        panel="Model",
        runtime=True,
    )
    name: PathPart | None = setting(
        None,
        "Name of the row in the report; by default that of --init, with --freeze, --probe and --fraction.",
        panel="Data",
        runtime=True,
    )
    folds: int = setting(
        0,
        "Cross-validation: in how many parts all photographs are tested in turn; 0: the splits of the data set.",
        panel="Data",
        ge=0,
    )
    fold_order: Literal["keyed", "released"] = setting(
        "keyed",
        "Which photographs a fold tests. keyed: shuffled, stratified on all labels, duplicates together; released: in "
        "the data set's order, stratified on the first label, duplicates apart.",
        panel=REPRODUCTION,
    )
    fraction: float = setting(
        1.0,
        "Share of the training photographs that is used, stratified; each lies in the larger ones.",
        panel="Data",
        gt=0,
        le=1,
    )
    eval: Literal["test", "val"] = setting(
        "test",
        "What is scored at the end; val: the validation photographs alone, where test has no masks.",
        panel="Data",
    )
    freeze: bool = setting(False, "Leave the encoder as it is: heads or decoder alone train.", panel="Model")
    probe: bool = setting(
        False,
        "Classification: logistic regression, of numbers ridge regression, on features of the frozen encoder, of each "
        "photograph as it is tested, without training views; seconds in place of a training. Its regularisation is "
        "chosen on validation.",
        panel="Model",
        neutral=False,
    )
    architecture: str | None = setting(
        None,
        f"Encoder, by any timm name; by default that of --init's weights, of random ones {DEFAULT}.",
        panel="Model",
    )
    decoder: Literal["deeplabv3plus", "smp-unet", "smp-fpn"] = setting(
        "deeplabv3plus",
        "Segmentation: the paper's network, or the U-Net or pyramid of smp (segmentation models in PyTorch).",
        panel="Model",
    )
    output_stride: Literal[8, 16] = setting(
        8, "Segmentation: stride of the encoder's last features under DeepLabv3+.", panel="Model"
    )
    loss: Literal["cross-entropy", "dice", "corn"] = setting(
        "cross-entropy",
        "What is minimised. dice: of masks the Dice loss beside the cross-entropy; corn: of grades a loss that knows "
        "their order, in place of the cross-entropy.",
        panel="Training",
        neutral="cross-entropy",
    )
    balance: bool = setting(
        False,
        "Classification: weigh each class by its rarity among the training photographs (scikit-learn's balanced), of "
        "several signs at once each sign against its absence.",
        panel="Training",
        neutral=False,
    )
    focus: float = setting(
        0.0,
        "Segmentation: share of the training views that hold a structure of their photograph, each by equal chance, so "
        "that rare and small ones are seen more often; 0: views are drawn anywhere.",
        panel="Training",
        neutral=0.0,
        ge=0,
        le=1,
    )
    crop: int = setting(224, "Side of a training view, or window, in pixels.", panel="Data", ge=32)
    fit: Literal["crop", "pad", "squash"] = setting(
        "crop",
        "Classification: how a photograph becomes the square that is tested. crop: its centre, of a photograph of 3:2 "
        "58 % of the width; pad: all of it, between black bars; squash: all of it, whatever its aspect.",
        panel="Data",
        neutral="crop",
    )
    batch: int = setting(64, "Images a step.", panel="Training", ge=1)
    epochs: int = setting(
        120,
        "Most epochs; training stops after a fifth of them, and at least two validations, below the best.",
        panel="Training",
        ge=1,
    )
    least_steps: int = setting(
        0, "Steps before training may stop early; 0: as soon as its patience ends.", panel="Training", neutral=0, ge=0
    )
    validate_every: int = setting(1, "Epochs between two validations.", panel="Training", ge=1)
    precise_bn: int = setting(
        20,
        "Steps before a validation, at most, whose views give BatchNorm its statistics in it and in the model; 0: it "
        "keeps running averages over the training.",
        panel="Training",
        neutral=0,
        ge=0,
        le=1000,
    )
    optimizer: Literal["sgd", "adamw"] = setting(
        "sgd", "SGD with Nesterov momentum 0.9, as the paper's, or AdamW.", panel="Training", neutral="sgd"
    )
    learning_rate: float = setting(
        0.1, "Learning rate, of --schedule the highest.", panel="Training", short="--lr", gt=0
    )
    schedule: Literal["constant", "cosine"] = setting(
        "constant",
        "Learning rate after the warm-up; cosine: falls to 0 over all --epochs, even if training stops before.",
        panel="Training",
        neutral="constant",
    )
    warmup_epochs: int = setting(
        0, "Epochs in which the learning rate rises linearly first.", panel="Training", neutral=0, ge=0
    )
    layer_decay: float = setting(
        1.0,
        "Rate of each of the encoder's layers, as a share of the next one's (timm's layers; below 1 positions and "
        "class token of a transformer have no weight decay); 1: the same for all.",
        panel="Training",
        neutral=1.0,
        gt=0,
        le=1,
    )
    weight_decay: float = setting(5e-4, "Weight decay; norms and biases have none.", panel="Training", ge=0)
    clip: float = setting(
        0.0, "Norm that a step's gradient has at most; 0: no limit.", panel="Training", neutral=0.0, ge=0
    )
    grid: bool = setting(
        False,
        "Try rates 0.1, 0.03, 0.01 with decays 0.001, 0.0005 first, and take the best on validation: six runs in "
        "place of one, with the first seed.",
        panel="Training",
    )
    seeds: int = setting(
        5, "Runs, of each fold, with the seeds --seed, --seed + 1, ...", panel="Chance", runtime=True, ge=1
    )

    all_measures: bool = setting(
        False,
        "Show all measures at the end, in place of the primary one and five others.",
        panel="Settings",
        runtime=True,
    )

    @model_validator(mode="after")
    def _rates_fit_the_optimiser(self) -> Self:
        if self.grid and self.optimizer != "sgd":
            raise ValueError(f"grid: its rates are those of sgd; with --optimizer {self.optimizer} give --lr")
        if self.grid and self.probe:
            raise ValueError("grid: a probe has no rates, and chooses its regularisation by itself; leave --grid out")
        require_time_to_rise(self.warmup_epochs, self.epochs)
        return self

    @model_validator(mode="after")
    def _several_folds(self) -> Self:
        if self.folds == 1:
            raise ValueError("folds: of one fold nothing is left to train on; 0 uses the splits of the data set")
        return self
