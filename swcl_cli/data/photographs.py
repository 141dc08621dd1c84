"""Prepared photographs as a column of paths, and the central squares that the labeler looks at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from torch.utils.data import Dataset

from swcl_cli.data.augment import View, normalise
from swcl_cli.data.colour import Colour
from swcl_cli.data.images import read_image
from swcl_cli.data.loaders import Key
from swcl_cli.data.patches import center_crop_box
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace


@dataclass(frozen=True)
class Photographs:
    """Paths below `root` as one arrow column: no Python object per photograph. `mirrored`: (N,) right eyes.

    shape: (N, 2) height and width as prepared, or None where the caller has no use for them.
    """

    root: Path
    path: pa.StringArray
    mirrored: NDArray[np.bool_]
    shape: NDArray[np.int32] | None

    @classmethod
    def of(cls, workspace: Workspace, table: pd.DataFrame) -> Photographs:
        """table: a manifest's `path`; `eye` where right eyes are to be mirrored (FACTS A8); `height` and `width`."""
        mirrored = (table["eye"] == "right").to_numpy(dtype=bool) if "eye" in table else np.zeros(len(table), bool)
        shape = table[["height", "width"]].to_numpy(dtype=np.int32) if "height" in table else None
        return cls(workspace.root, pa.array(table["path"], pa.string()), mirrored, shape)

    def __len__(self) -> int:
        return len(self.path)

    def read(self, item: int) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) as stored. Raises SwclError where it is missing, damaged, or not of the prepared shape."""
        path = self.root / self.path[item].as_py()
        image = read_image(path)
        if self.shape is not None and image.shape[:2] != tuple(self.shape[item]):
            (height, width), (made_height, made_width) = image.shape[:2], self.shape[item]
            raise SwclError(
                f"{path} is {width} x {height} px, not {made_width} x {made_height} as it was prepared. "
                "Make it again with `swcl prep`."
            )
        return image


class Squares(Dataset[View]):
    """(0, item) -> the largest central square of a photograph, mirrored where it says so: float32 (3, S, S)."""

    def __init__(self, photographs: Photographs, mean: Colour, std: Colour) -> None:
        self.photographs, self.mean, self.std = photographs, mean, std

    def batches(self, size: int) -> list[list[Key]]:
        """All photographs in their order."""
        count = len(self.photographs)
        return [[(0, item) for item in range(start, min(start + size, count))] for start in range(0, count, size)]

    def __getitem__(self, key: Key) -> View:
        image = self.photographs.read(key[1])
        side = min(image.shape[:2])
        x, y = center_crop_box(image.shape[0], image.shape[1], side)
        square = image[y : y + side, x : x + side]
        if self.photographs.mirrored[key[1]]:
            square = np.ascontiguousarray(square[:, ::-1])
        return normalise(square, self.mean, self.std)


def manifest_of(workspace: Workspace, dataset: str) -> Any:
    """The manifest's path. Raises SwclError that names the command where the data set is not prepared."""
    return workspace.require(workspace.manifest(dataset), f"swcl prep {dataset} SOURCE")
