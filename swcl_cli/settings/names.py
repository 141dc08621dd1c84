"""The names of data sets, methods and tasks, and the settings that each has of its own: its row.

They stand here, since `--help` must not import what they name; a test holds the registries to them.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

Dataset = Literal[
    "list", "phantom", "odir", "eyepacs", "messidor", "idrid", "refuge-cls", "refuge-seg", "drive", "stare",
    "chase-db1", "folder",
]  # fmt: skip
Method = Literal[
    "swcl", "simclr", "byol", "dino", "supervised-odir", "supervised-eyepacs", "multitask", "swcl-image",
]  # fmt: skip
Task = Literal["messidor", "idrid", "refuge-cls", "drive", "stare", "chase-db1", "refuge-seg", "folder", "all"]
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
DATASET_OPTIONS = {  # settings that these data sets alone have; `read` of real ones takes all but `name`
    "phantom": ("patients", "drawn_size", "drawn"),
    "odir": ("keywords",),
    "chase-db1": ("chase_split",),
    "folder": ("name", "labels", "masks", "name_pattern"),
}
METHOD_ROWS: dict[str, dict[str, Any]] = {  # on whole photographs five times as many epochs: as many steps (paper IV-B)
    **{name: {"epochs": 40} for name in ("swcl", "multitask", "swcl-image")},
    **{name: {"epochs": 200} for name in ("simclr", "byol", "dino", "supervised-odir", "supervised-eyepacs")},
}
METHOD_OPTIONS = {  # settings that not all methods have
    "swcl": ("swap", "batch_patches", "threshold", "labels", "projection", "temperature", "chunk"),
    "swcl-image": ("batch_patches", "labels", "projection", "temperature", "chunk"),
    "multitask": ("swap", "batch_patches", "threshold"),
    "simclr": ("data", "batch_images", "projection", "temperature", "chunk"),
    "byol": ("data", "batch_images"),
    "dino": ("data", "batch_images"),
    "supervised-odir": ("batch_images",),
    "supervised-eyepacs": ("batch_images",),
}
TASK_ROWS: dict[str, dict[str, Any]] = {
    "messidor": {"crop": 224, "batch": 64, "epochs": 120, "folds": 5, "seeds": 1},  # has no splits; five runs, as all
    **{name: {"crop": 224, "batch": 64, "epochs": 120} for name in ("idrid", "refuge-cls")},
    **{name: {"crop": 384, "batch": 8, "epochs": 300} for name in ("drive", "stare", "chase-db1", "refuge-seg")},
    "folder": {"crop": 224, "batch": 16, "epochs": 120},
}
TASK_OPTIONS: dict[str, tuple[str, ...]] = {"folder": ("data", "heads")}
ROWS = {"prep": DATASET_ROWS, "pretrain": METHOD_ROWS, "finetune": TASK_ROWS}
OPTIONS = {"prep": DATASET_OPTIONS, "pretrain": METHOD_OPTIONS, "finetune": TASK_OPTIONS}
ROW_KEY = {"prep": "dataset", "pretrain": "method", "finetune": "task"}
DATASETS: tuple[str, ...] = get_args(Dataset)
OWN = "folder"  # people's own photographs: several sets of them, each with a name of its own
ARTEFACTS = ("labeler", "swap", "init")  # what an artefact calls those that it was made from, data sets beside them
METHODS: tuple[str, ...] = get_args(Method)
ALL = "all"  # each of the public ones
TASKS: tuple[str, ...] = tuple(name for name in get_args(Task) if name != ALL)


def prep_command(prepared: str) -> str:
    """The command that prepares data/PREPARED."""
    return f"swcl prep {prepared} SOURCE" if prepared in DATASETS else f"swcl prep {OWN} SOURCE --name {prepared}"
