"""Read prepared photographs by a column of their paths, whole or as the central squares that the labeler scores."""

from __future__ import annotations

from collections.abc import Iterator
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
from swcl_cli.data.pixels import center_crop_box
from swcl_cli.settings import prep_command
from swcl_cli.workspace import Workspace


@dataclass(frozen=True)
class Photographs:
    """Hold paths below `root` as an arrow column, without a Python object for each photograph.

    checksum: (N,) CRC-32 of the files as prepared; None: not checked.
    """

    root: Path
    path: pa.StringArray
    checksum: NDArray[np.int64] | None

    @classmethod
    def of(cls, workspace: Workspace, table: pd.DataFrame) -> Photographs:
        """Take the photographs of a manifest: its `path`, and its `checksum` where the table has it."""
        checksum = table["checksum"].to_numpy(dtype=np.int64) if "checksum" in table else None
        return cls(workspace.root, pa.array(table["path"], pa.string()), checksum)

    def __len__(self) -> int:
        return len(self.path)

    def read(self, item: int) -> NDArray[np.uint8]:
        """Read a photograph as stored: uint8 (H, W, 3). Raises SwclError where it is missing, damaged, or replaced."""
        checksum = None if self.checksum is None else int(self.checksum[item])
        return read_image(self.root / self.path[item].as_py(), checksum)


class Squares(Dataset[View]):
    """Cut the largest central square out of a photograph as it is, of either eye: (0, item) -> float32 (3, S, S)."""

    def __init__(self, photographs: Photographs, mean: Colour, std: Colour) -> None:
        self.photographs, self.mean, self.std = photographs, mean, std

    def batches(self, size: int, first: int = 0) -> Iterator[list[Key]]:
        """Yield the keys of all photographs from `first` on, in batches, without a list of all in memory."""
        count = len(self.photographs)
        return ([(0, item) for item in range(start, min(start + size, count))] for start in range(first, count, size))

    def __getitem__(self, key: Key) -> View:
        image = self.photographs.read(key[1])
        side = min(image.shape[:2])
        x, y = center_crop_box(image.shape[0], image.shape[1], side)
        return normalise(image[y : y + side, x : x + side], self.mean, self.std)


def manifest_of(workspace: Workspace, dataset: str) -> Any:
    """Return the manifest's path. Raises SwclError, which names the command, where the data set is not prepared."""
    return workspace.require(workspace.manifest(dataset), prep_command(dataset))
