"""One model a step: the only place where an option has a name, a type, a default, a range and a description.

The names of data sets, methods and tasks stand here too, since `--help` must not import what they name; a test holds
the registries to them. A row holds the settings that a data set, a method or a task has of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Dataset = Literal[
    "list", "phantom", "odir", "eyepacs", "messidor", "idrid", "refuge-cls", "refuge-seg", "drive", "stare",
    "chase-db1", "folder",
]  # fmt: skip
Method = Literal["swcl"]
Task = Literal["idrid", "drive"]
Architecture = Literal["resnet18", "resnet34", "resnet50", "resnetv2_50x1_bit"]
Precision = Literal["fp32", "bf16"]
WeakLabel = Literal["position", "abnormality", "patient"]

PREPARED_SIZES = {  # shorter side in pixels; 0 is the photographs' own
    448: ("odir", "eyepacs", "folder"),
    350: ("messidor", "idrid", "refuge-cls"),
    514: ("refuge-seg",),
    0: ("drive", "stare", "chase-db1"),
}
DATASET_ROWS: dict[str, dict[str, Any]] = {"list": {}, "phantom": {}} | {
    name: {"size": size} for size, names in PREPARED_SIZES.items() for name in names
}
DATASET_OPTIONS = {  # settings that these data sets alone have; `read` of the data set takes those of real ones
    "phantom": ("patients", "drawn_size", "drawn"),
    "odir": ("keywords",),
    "chase-db1": ("chase_split",),
    "folder": ("labels", "masks", "name_pattern"),
}
METHOD_ROWS: dict[str, dict[str, Any]] = {"swcl": {}}
TASK_ROWS: dict[str, dict[str, Any]] = {
    "idrid": {"crop": 224, "batch": 64, "epochs": 120},
    "drive": {"crop": 384, "batch": 8, "epochs": 300},
}
ROWS = {"prep": DATASET_ROWS, "pretrain": METHOD_ROWS, "finetune": TASK_ROWS}
ROW_KEY = {"prep": "dataset", "pretrain": "method", "finetune": "task"}


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_split)]
Integers = Annotated[list[int], BeforeValidator(_split)]
WeakLabels = Annotated[
    list[WeakLabel],
    BeforeValidator(_split),
    AfterValidator(lambda given: [label for label in get_args(WeakLabel) if label in given]),
    Field(min_length=1),
]


def setting(default: Any, help: str, *, panel: str, runtime: bool = False, **limits: Any) -> Any:
    """A field whose description is its `--help` text. `runtime`: it can't change a byte of the result."""
    return Field(default, description=help, json_schema_extra={"panel": panel, "runtime": runtime}, **limits)


class StepSettings(BaseModel):
    """What all steps share."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    step: ClassVar[str]

    workspace: Path = setting(Path("."), "Folder that holds all artefacts.", panel="Machine", runtime=True)

    @classmethod
    def runtime_fields(cls) -> frozenset[str]:
        """Fields that can't change the result, hence stand in no artefact."""
        extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return frozenset(name for name, extra in extras.items() if isinstance(extra, dict) and extra["runtime"])

    def defining(self) -> dict[str, Any]:
        """The settings that define the result, as JSON values."""
        return self.model_dump(mode="json", exclude=set(self.runtime_fields()))


class SeededSettings(StepSettings):
    seed: int = setting(
        0, "Key of every random draw; the same seed gives the same bytes.", panel="Chance", ge=0, le=1_000_000_000
    )
    workers: int = setting(1, "Processes that decode and augment images.", panel="Machine", runtime=True, ge=0, le=256)


class TrainingSettings(SeededSettings):
    epochs: int = setting(1, "Passes over the training images.", panel="Training", ge=1)
    learning_rate: float = setting(0.1, "Base learning rate.", panel="Training", gt=0)
    weight_decay: float = setting(0.0, "Weight decay; norms and biases have none.", panel="Training", ge=0)
    precision: Precision = setting("fp32", "Arithmetic of the network; losses stay in fp32.", panel="Training")
    colours: Literal["rgb", "released"] = setting(
        "rgb", "Order of the EyePACS colour constants; released: as the released code has them.", panel="Data"
    )
    accelerator: Literal["auto", "cpu", "gpu"] = setting("auto", "Where to compute.", panel="Machine", runtime=True)
    save_seconds: float = setting(
        120, "Seconds between two saves of the resume state; 0 saves each step.", panel="Machine", runtime=True, ge=0
    )
    fresh: bool = setting(False, "Start over, even if there is work to resume.", panel="Machine", runtime=True)


class PrepSettings(SeededSettings):
    """`swcl prep`: a raw download -> prepared images, masks and a manifest."""

    step: ClassVar[str] = "prep"

    dataset: Dataset = setting(..., "Which public data set SOURCE holds; `list` shows them all.", panel="Data")
    source: Path | None = setting(
        None,
        "Folder of the raw download (phantom: where to draw; by default WORKSPACE/phantom).",
        panel="Data",
        runtime=True,
    )
    size: int = setting(
        448, "Shorter side of the prepared images in pixels; 0 keeps their own size.", panel="Data", ge=0
    )
    lesion_masks: Path | None = setting(
        None,
        "Folder of lesion masks, laid out as the photographs are, as .png: patch scores are then judged against them.",
        panel="Data",
        runtime=True,
    )
    crop_to_field: bool = setting(
        False, "Cut the dark margin around the field of view off before resizing.", panel="Data"
    )
    split_file: Path | None = setting(
        None, "Table with the columns image_id and split, which replaces the splits.", panel="Data", runtime=True
    )
    keywords: Literal["released", "clean"] = setting(
        "released",
        "odir: which keywords make an eye abnormal; clean: words that tell of the photograph alone don't count.",
        panel="Labels",
    )
    chase_split: Literal["20/8", "8/20"] = setting(
        "20/8", "chase-db1: images that train and that test; children stay together.", panel="Data"
    )
    labels: Path | None = setting(
        None,
        "folder: table with the column image and any of patient, eye, split, abnormal, dr_grade, dme_grade, glaucoma, "
        "age, sex.",
        panel="Data",
        runtime=True,
    )
    masks: Path | None = setting(
        None, "folder: folder of two-valued masks, laid out as the photographs are.", panel="Data", runtime=True
    )
    name_pattern: str | None = setting(
        None,
        "folder: regular expression with the groups patient and eye, for the names: '(?P<patient>.+)_(?P<eye>[LR])'.",
        panel="Data",
    )
    patients: int = setting(60, "Patients to draw a phantom data set.", panel="Phantom eyes", ge=8)
    drawn_size: int = setting(512, "Shorter side of the drawn photographs in pixels.", panel="Phantom eyes", ge=96)
    drawn: Names = setting(
        ["odir", "eyepacs", "idrid", "drive"], "Data sets to draw, joined by commas.", panel="Phantom eyes"
    )

    @model_validator(mode="after")
    def _own_options_only(self) -> Self:
        for dataset, names in DATASET_OPTIONS.items():
            foreign = sorted(self.model_fields_set & set(names))
            if self.dataset != dataset and foreign:
                verb = "belongs" if len(foreign) == 1 else "belong"
                raise ValueError(f"{' and '.join(foreign)} {verb} to {dataset}, not to {self.dataset}")
        unknown = sorted(set(self.drawn) - (set(get_args(Dataset)) - {"list", "phantom"}))
        if unknown:
            raise ValueError(f"drawn: there is no data set {', '.join(unknown)}")
        return self

    def defining(self) -> dict[str, Any]:
        foreign = {name for dataset, names in DATASET_OPTIONS.items() if dataset != self.dataset for name in names}
        return {name: value for name, value in super().defining().items() if name not in foreign}


class TrainLabelerSettings(TrainingSettings):
    """`swcl train-labeler`: the semi-supervised classifier (S4L) that propagates labels (paper III-A)."""

    step: ClassVar[str] = "train-labeler"

    labelled: Names = setting(["odir"], "Prepared data sets with normal/abnormal labels.", panel="Data", min_length=1)
    unlabelled: Names = setting(["eyepacs"], "Prepared data sets used without labels.", panel="Data")
    architecture: Literal["resnet18", "resnet34"] = setting("resnet34", "Network, by its timm name.", panel="Model")
    crop: int = setting(384, "Side of a training view in pixels.", panel="Data", ge=32)
    views: int = setting(4, "Augmented views of each image in a step.", panel="Training", ge=2)
    batch_labelled: int = setting(64, "Labelled images a forward pass.", panel="Training", ge=1)
    batch_unlabelled: int = setting(64, "Unlabelled images a forward pass.", panel="Training", ge=1)
    accumulate: int = setting(4, "Forward passes an optimiser step.", panel="Training", ge=1)
    epochs: int = setting(200, "Passes over the labelled images.", panel="Training", ge=1)
    learning_rate: float = setting(0.03, "Base learning rate (SGD with Nesterov momentum).", panel="Training", gt=0)
    weight_decay: float = setting(0.001, "Weight decay; norms and biases have none.", panel="Training", ge=0)
    milestones: Integers = setting([140, 160, 180], "Epochs after which the rate falls to a tenth.", panel="Training")
    triplet_weight: float = setting(1.0, "Weight w of the triplet loss; 0 is plain supervised.", panel="Training", ge=0)
    mining: Literal["semi-hard", "batch-hard"] = setting("semi-hard", "How triplets are chosen.", panel="Training")
    margin: float = setting(0.5, "Margin of the triplet loss.", panel="Training", gt=0)
    keep: Literal["last", "best"] = setting("last", "Which epoch becomes the labeler (best: by AUC).", panel="Training")


class MakeSwapSettings(StepSettings):
    """`swcl make-swap`: class activation maps -> five weakly labelled patches an eye (paper III-B)."""

    step: ClassVar[str] = "make-swap"

    threshold: float = setting(
        0.4, "Lesion score t at and above which a patch is abnormal.", panel="Labels", ge=0, le=1
    )
    background: Literal["released", "none"] = setting(
        "released", "Scores outside the retina: zeroed as in the released code, or left alone.", panel="Labels"
    )
    precision: Precision = setting("fp32", "Arithmetic of the network.", panel="Machine")
    batch: int = setting(16, "Images a forward pass.", panel="Machine", ge=1)
    fresh: bool = setting(False, "Score again, even if swap.parquet is there.", panel="Machine", runtime=True)
    workers: int = setting(1, "Processes that decode images.", panel="Machine", runtime=True, ge=0, le=256)
    accelerator: Literal["auto", "cpu", "gpu"] = setting("auto", "Where to compute.", panel="Machine", runtime=True)


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


class ReportSettings(StepSettings):
    """`swcl report`: tables, figures and one page from all that the workspace holds."""

    step: ClassVar[str] = "report"


STEPS: dict[str, type[StepSettings]] = {
    model.step: model
    for model in (
        PrepSettings,
        TrainLabelerSettings,
        MakeSwapSettings,
        PretrainSettings,
        FinetuneSettings,
        ReportSettings,
    )
}
DATASETS: tuple[str, ...] = get_args(Dataset)
METHODS: tuple[str, ...] = get_args(Method)
TASKS: tuple[str, ...] = get_args(Task)
