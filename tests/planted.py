"""Fine-tuning tasks with a planted signal, small enough to be learnt in seconds from random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swcl_cli.chance import generator
from swcl_cli.settings import FinetuneSettings
from tests import prepared

SMALL = {"seeds": 1, "workers": 0, "accelerator": "cpu", "crop": 32, "architecture": "resnet18"}
IDRID = {"task": "idrid", "batch": 16, "epochs": 8, "learning_rate": 0.03}
DRIVE = {"task": "drive", "batch": 4, "epochs": 8, "learning_rate": 0.03, "output_stride": 16}
REFUGE_CLS = {**IDRID, "task": "refuge-cls"}
REFUGE_SEG = {**DRIVE, "task": "refuge-seg"}
SPLITS = ("train", "train", "train", "val", "test")


def options(root: Path, task: dict[str, Any], **values: Any) -> FinetuneSettings:
    return FinetuneSettings(**{"workspace": root, **SMALL, **task, **values})


def write_idrid(root: Path, count: int = 100) -> pd.DataFrame:
    """Both grades say whether the photograph is bright."""
    rows = []
    for item in range(count):
        rng = generator(0, "bright", item=item)
        bright = int(rng.integers(0, 2))
        noise = rng.normal(0, 15, (40, 44, 3)) + 70 + 100 * bright
        rows.append(
            {
                "split": SPLITS[item % 5],
                "dr_grade": 3 * bright,
                "dme_grade": 2 * bright,
                "patient_id": f"{item // 10}",
                "image": noise.clip(0, 255).astype(np.uint8),
            }
        )
    return prepared.write(root, "idrid", rows, size=40)


def write_drive(root: Path, count: int = 20) -> pd.DataFrame:
    """Vessels are bright bands."""
    rows = []
    for item in range(count):
        rng = generator(0, "bands", item=item)
        mask = np.zeros((40, 48), np.uint8)
        at, thickness = int(rng.integers(4, 30)), int(rng.integers(8, 14))
        if item % 2:
            mask[at : at + thickness] = 255
        else:
            mask[:, at : at + thickness] = 255
        image = (rng.normal(70, 10, (40, 48, 3)) + mask[..., None] * 0.4).clip(0, 255).astype(np.uint8)
        rows.append({"split": SPLITS[item % 5], "image": image, "mask": mask, "fov": np.full_like(mask, 255)})
    return prepared.write(root, "drive", rows, size=0)


def write_refuge_cls(root: Path, count: int = 100) -> pd.DataFrame:
    """A fifth has glaucoma, and a bright left half."""
    rows = []
    for item in range(count):
        rng, glaucoma = generator(0, "halves", item=item), item // 5 % 5 == 0
        noise = rng.normal(80, 15, (40, 40, 3))
        noise[:, :20] += 90 * glaucoma
        image = noise.clip(0, 255).astype(np.uint8)
        rows.append({"split": SPLITS[item % 5], "glaucoma": glaucoma, "image": image})
    return prepared.write(root, "refuge-cls", rows, size=40)


def write_refuge_seg(root: Path, count: int = 20) -> pd.DataFrame:
    """Bright discs with brighter cups; masks have twice the photographs' side."""
    rows = []
    for item in range(count):
        rng = generator(0, "discs", item=item)
        y, x = np.mgrid[:96, :96]
        away = np.hypot(x - rng.integers(36, 60), y - rng.integers(36, 60))
        disc, cup = away < rng.integers(26, 34), away < rng.integers(12, 20)
        red = (60 + 70 * disc + 90 * cup)[::2, ::2, None] + rng.normal(0, 8, (48, 48, 3))
        mask = np.select([cup, disc], [np.uint8(0), np.uint8(128)], np.uint8(255))
        rows.append({"split": SPLITS[item % 5], "image": red.clip(0, 255).astype(np.uint8), "mask": mask})
    return prepared.write(root, "refuge-seg", rows, size=48)
