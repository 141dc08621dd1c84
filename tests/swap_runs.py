"""Runs of `make-swap` on small prepared data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from swcl_cli.settings import MakeSwapSettings
from tests import prepared

POSITIONS = ("tl", "tr", "c", "bl", "br")


def options(root: Path, **values: Any) -> MakeSwapSettings:
    return MakeSwapSettings(**{"workspace": root, "batch": 3, "workers": 0, "accelerator": "cpu", **values})


def make(root: Path) -> Any:
    """20 photographs: 12 of odir (normal, abnormal, unknown), 8 of eyepacs with grades that must not be read.

    Those of eyepacs have lesion masks: one lesion in the raw tl. Returns the labeler's network.
    """
    table = prepared.labelled_eyes(root, "odir", 6)
    unknown = table["abnormal"].mask(table["image_id"].isin(["2_left", "3_right"]))
    prepared.change(root, "odir", abnormal=unknown)
    lesions = np.zeros((64, 64), np.uint8)
    lesions[3, 5] = 3
    prepared.labelled_eyes(root, "eyepacs", 4, abnormal=False, dr_grade=0, lesions=lesions)
    return prepared.labeler(root, ["odir"], ["eyepacs"])
