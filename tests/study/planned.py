"""Workspaces that can be studied, of a few small photographs, and what `swcl study` plans on them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np

from swcl_cli.workspace import Workspace
from tests import prepared
from tests.commands import Finished, swcl

PRESET = """
[train-labeler]
architecture = "resnet18"
crop = 40
batch_labelled = 8
batch_unlabelled = 8
epochs = 1
[pretrain]
architecture = "tf_efficientnet_lite0"
[pretrain.swcl]
batch_patches = 16
[pretrain.simclr]
batch_images = 8
[finetune]
architecture = "tf_efficientnet_lite0"
crop = 32
epochs = 2
[finetune.drive]
decoder = "smp-unet"
"""


def eyes(root: Path, *names: str) -> None:
    """Data sets of normal and abnormal eyes, of all three splits."""
    for name in names:
        prepared.labelled_eyes(root, name, 16)


def idrid(root: Path) -> None:
    rows = [
        {"image_id": f"{item}", "patient_id": f"{item}", "split": split, "dr_grade": item % 5, "dme_grade": item % 3}
        for item, split in enumerate(["train"] * 10 + ["val"] * 5 + ["test"] * 5)
    ]
    prepared.write(root, "idrid", [{**row, "image": prepared.photograph(item)} for item, row in enumerate(rows)])


def drive(root: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[20:24] = 255
    rows = [
        {"image_id": f"{item}", "split": split, "mask": mask} for item, split in enumerate(("train", "val", "test"))
    ]
    prepared.write(
        root, "drive", [{**row, "image": prepared.photograph(item)} for item, row in enumerate(rows)], size=0
    )


def build(root: Path) -> Path:
    """A workspace with all that a study of two tasks and of ODIR's eyes needs, before the labeler is trained."""
    eyes(root, "odir", "eyepacs")
    idrid(root)
    drive(root)
    return root


def study(root: Path, *words: object) -> Finished:
    (root / "tiny.toml").write_text(PRESET)
    return swcl("--workspace", root, "study", "--preset", root / "tiny.toml", *words)


def text(root: Path) -> str:
    return (Workspace(root).study / "plan.sh").read_text(encoding="utf-8")


def commands(root: Path) -> list[list[str]]:
    """The words behind `swcl` of each line of the script."""
    lines = [line for line in text(root).splitlines() if line.startswith("swcl ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def row(command: list[str]) -> str:
    """The initialisation of a fine-tuning: its weights without views and suffix."""
    return re.sub(r"-\d+\.safetensors$", "", option(command, "init"))


def option(command: list[str], name: str) -> str:
    """The value of an option; empty where it is not given."""
    return command[command.index(f"--{name}") + 1] if f"--{name}" in command else ""
