"""retinal-SWAP as a table: its schema, its threshold rule, and the labels and pairs that pretraining makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from swcl_cli.errors import SwclError

SCHEMA = pa.schema(
    [
        ("dataset", pa.string()), ("patient_id", pa.string()), ("image_id", pa.string()), ("eye", pa.string()),
        ("position", pa.string()), ("path", pa.string()), ("x", pa.int32()), ("y", pa.int32()), ("size", pa.int32()),
        ("mirrored", pa.bool_()), ("rotated", pa.bool_()), ("score", pa.float32()), ("abnormal", pa.bool_()),
        ("image_abnormal", pa.bool_()),
    ]
)  # fmt: skip
ABSENT = -1
COLUMN_OF = {"position": ["position"], "abnormality": ["abnormal"], "patient": ["dataset", "patient_id"]}


def is_abnormal(score: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """A patch is abnormal where its lesion score is t or more (paper III-C). Compared in fp32, as scores are stored."""
    return score >= np.float32(threshold)


@dataclass(frozen=True)
class Patches:
    """Patches as columns, all (N,): path below the workspace, box, mirror flags, weak-label id, and their pairs.

    pairs: (P, 2) rows of left and right patch of one patient and position, ABSENT where a patient has one eye.
    """

    path: pa.StringArray
    x: NDArray[np.int32]
    y: NDArray[np.int32]
    mirrored: NDArray[np.bool_]
    rotated: NDArray[np.bool_]
    label: NDArray[np.int64]
    abnormal: NDArray[np.bool_]
    pairs: NDArray[np.int64]
    size: int

    def __len__(self) -> int:
        return len(self.x)


def read_patches(path: Path, labels: Sequence[str], threshold: float | None) -> Patches:
    """Reads swap.parquet; two patches have one label id if and only if they agree in all of `labels` (FACTS C3).

    threshold: overrides the stored abnormality. Raises SwclError where the file is damaged, or the patches are not all
    of one size.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise SwclError(f"{path} can't be read: {error}. Make it again with: swcl make-swap --fresh") from error
    frame = table.drop_columns(["image_id", "path", "image_abnormal"]).to_pandas(strings_to_categorical=True)
    if threshold is not None:
        frame["abnormal"] = is_abnormal(frame["score"].to_numpy(), threshold)
    sizes = frame["size"].unique().tolist()
    if len(sizes) != 1:
        raise SwclError(f"{path}: patches of several sizes ({sorted(sizes)}); prepare the data sets with one --size.")
    columns = [column for label in labels for column in COLUMN_OF[label]]
    return Patches(
        table["path"].combine_chunks(), frame["x"].to_numpy(), frame["y"].to_numpy(), frame["mirrored"].to_numpy(),
        frame["rotated"].to_numpy(), label_ids(frame, columns), frame["abnormal"].to_numpy(), left_right_pairs(frame),
        sizes[0],
    )  # fmt: skip


def label_ids(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """(N,) ids, equal where rows agree in all columns."""
    ids: NDArray[np.int64] = frame.groupby(list(columns), observed=True, sort=False).ngroup().to_numpy(dtype=np.int64)
    return ids


def left_right_pairs(frame: pd.DataFrame) -> NDArray[np.int64]:
    """(P, 2) row numbers: left with right patch of the same data set, patient and position; else a single.

    An eye of which the side is not known is a single.
    A patient with several photographs of an eye gives several pairs, in the order of the rows.
    """
    place = ["dataset", "patient_id", "position"]
    group = label_ids(frame, place)
    turn = frame.groupby([*place, "eye"], observed=True).cumcount().to_numpy()
    right, unknown = ((frame["eye"] == eye).to_numpy(dtype=np.int64) for eye in ("right", "unknown"))
    pair, number = np.unique(np.stack([group, turn, unknown], axis=1), axis=0, return_inverse=True)
    pairs = np.full((len(pair), 2), ABSENT, np.int64)
    pairs[number.ravel(), right] = np.arange(len(frame))
    return pairs
