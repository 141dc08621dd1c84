"""Photographs that differ in what a method must learn, in all the forms in which methods take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.chance import generator
from swcl_cli.swap.rows import patch_rows
from tests import prepared

SIDE = 64
SPLITS = ("train", "train", "val", "test")
ALONE = 5  # a right eye that is missing, so that batches hold patches without a partner, too


def photograph(item: int, abnormal: bool) -> NDArray[np.uint8]:
    """Waves, narrow ones if abnormal, in any direction, colour, brightness and contrast: those tell nothing."""
    rng = generator(0, "waves", item=item)
    period = rng.uniform(6, 9) if abnormal else rng.uniform(14, 24)
    direction, phase = rng.uniform(0, 2 * np.pi, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = np.sin(2 * np.pi * (x * np.cos(direction) + y * np.sin(direction)) / period + phase)
    colour = rng.uniform(60, 190, 3)
    image = colour + rng.uniform(10, 40) * wave[..., None] + rng.normal(0, 6, (SIDE, SIDE, 3))
    pixels: NDArray[np.uint8] = image.clip(0, 255).astype(np.uint8)
    return pixels


def write(root: Path, patients: int) -> None:
    """Manifests of odir (`abnormal`) and eyepacs (`dr_grade`), and swap.parquet, whose scores say the same."""
    tables = []
    for number, dataset in enumerate(("odir", "eyepacs")):
        rows = []
        for eye in range(2 * patients):
            if eye == ALONE:
                continue
            abnormal = bool(generator(number, "abnormal", item=eye).integers(2))
            label = {"abnormal": abnormal} if dataset == "odir" else {"dr_grade": 2 * abnormal}
            rows.append(
                {
                    "image_id": f"{eye:04d}",
                    "patient_id": f"{eye // 2}",
                    "eye": ("left", "right")[eye % 2],
                    "split": SPLITS[eye // 2 % 4],
                    "image": photograph(10_000 * number + eye, abnormal),
                    **label,
                }
            )
        tables.append(prepared.write(root, dataset, rows, SIDE))
    table = pd.concat(tables, ignore_index=True)
    positive = (table["abnormal"].astype("Int8").fillna(table["dr_grade"] > 0) > 0).to_numpy(dtype=np.float32)
    table["image_abnormal"] = table["abnormal"]
    prepared.swap(root, patch_rows(table, np.tile(positive[:, None], 5), 0.4))
