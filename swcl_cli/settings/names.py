"""The names of data sets, methods and tasks, and the settings that each has of its own: its row.

They stand here, since `--help` must not import what they name; a test holds the registries to them.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

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
DATASETS: tuple[str, ...] = get_args(Dataset)
METHODS: tuple[str, ...] = get_args(Method)
TASKS: tuple[str, ...] = get_args(Task)
