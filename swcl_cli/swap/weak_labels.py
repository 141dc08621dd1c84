"""Read retinal-SWAP as a table: its threshold rule, and the labels and pairs that pretraining uses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from swcl_cli.data.columns import SWAP
from swcl_cli.data.stored import each_column
from swcl_cli.errors import SwclError
from swcl_cli.swap.crops import POSITIONS, stored_corners
from swcl_cli.workspace import Damaged, part_of, read_provenance

UNREAD = ("image_id", "image_abnormal", "single")
REPEATED = ("dataset", "patient_id", "eye", "position", "path")
ABSENT = -1
UNKNOWN = -1  # in place of a checksum that is not known
UNLABELLED = -1  # of a patch that is not known as normal or abnormal
COLUMN_OF = {"position": ["position"], "abnormality": ["abnormal"], "patient": ["dataset", "patient_id"]}


def is_abnormal(score: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Return whether each patch's lesion score is t or more (paper III-C). Compared in fp32, as scores are stored."""
    return score >= np.float32(threshold)


@dataclass(frozen=True)
class Patches:
    """Hold patches as columns, all (N,): path below a root, box, flags of turning and mirroring, weak-label id,
    abnormality, checksum; and pairs.

    path: text, dictionary-encoded, since five patches share a photograph. checksum: CRC-32 of the file; where it is
    UNKNOWN the file holds just this patch. pairs: (P, 2) rows of left and right patch of one patient and
    position, ABSENT where a patient has one eye.
    """

    path: pa.DictionaryArray
    x: NDArray[np.int32]
    y: NDArray[np.int32]
    rotated: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]
    label: NDArray[np.int64]
    abnormal: NDArray[np.bool_]
    checksum: NDArray[np.int64]
    pairs: NDArray[np.int64]
    size: int

    def __len__(self) -> int:
        return len(self.x)


def read_patches(
    path: Path,
    labels: Sequence[str],
    threshold: float | None = None,
    abnormal: NDArray[np.int8] | None = None,
    without: Collection[str] = (),
) -> Patches:
    """Read swap.parquet. Two patches have the same label id if and only if they agree in all of `labels` (FACTS C3).

    threshold: overrides the stored abnormality, and so does `abnormal`: (N,) 1, 0, or UNLABELLED for rows that are to
    be left out. without: paths of photographs whose patches are left out, too. Raises SwclError where the file is
    damaged, of another version, or the patches are not all of one size.
    """
    wanted = [name for name in SWAP.names if name not in UNREAD]
    series: dict[str, pd.Series] = {}
    for name, column in each_column(path, SWAP.only(wanted)):
        encoded = column.dictionary_encode() if name in REPEATED else column
        if name == "path":
            paths = encoded.combine_chunks()
        else:
            series[name] = encoded.to_pandas()
    frame = pd.DataFrame(series, copy=False)
    pa.default_memory_pool().release_unused()  # else arrow keeps half of what it read with, in each process
    sizes = frame["size"].unique().tolist()
    if len(sizes) != 1:
        raise SwclError(f"{path}: patches of several sizes ({sorted(sizes)}); prepare the data sets with one --size.")
    place = len(POSITIONS) * paths.indices.to_numpy() + frame["position"].cat.codes.to_numpy(dtype=np.int64)
    if doubled := len(place) - len(np.unique(place)):
        raise Damaged(path, f"{doubled:,} of its rows stand there twice, by path and position")
    _require_consistent(path, frame, paths.indices.to_numpy(), sizes[0])
    if threshold is not None:
        frame["abnormal"] = is_abnormal(frame["score"].to_numpy(), threshold)
    kept = np.ones(len(frame), bool)
    if abnormal is not None:
        kept &= abnormal != UNLABELLED
        frame = frame.assign(abnormal=abnormal == 1)
    if without:
        unwanted = pc.is_in(paths.dictionary, pa.array(sorted(without), pa.string()))
        kept &= ~unwanted.to_numpy(zero_copy_only=False)[paths.indices.to_numpy()]
    if not kept.all():
        frame = frame[kept].reset_index(drop=True)
        paths = paths.filter(pa.array(kept))
    columns = [column for label in labels for column in COLUMN_OF[label]]
    return Patches(
        paths,
        frame["x"].to_numpy(),
        frame["y"].to_numpy(),
        frame["rotated"].to_numpy(),
        frame["mirrored"].to_numpy(),
        label_ids(frame, columns),
        frame["abnormal"].to_numpy(),
        frame["checksum"].to_numpy(),
        left_right_pairs(frame),
        sizes[0],
    )


def _require_consistent(path: Path, frame: pd.DataFrame, photograph: NDArray[np.int32], size: int) -> None:
    """Check that the columns agree as make-swap writes them. photograph: (N,), which one each row is of.

    Abnormality follows from score and threshold, mirroring from the eye, the five boxes of a photograph from each
    other. Raises SwclError where a value was edited.
    """
    record = read_provenance(path)
    if "threshold" in record.get("settings", {}):
        threshold = part_of(path, record, ("settings", "threshold"), float)
        disagreeing = is_abnormal(frame["score"].to_numpy(), threshold) != frame["abnormal"].to_numpy()
        if disagreeing.any():
            raise Damaged(path, f"abnormal is not what score and threshold say in {disagreeing.sum():,} of its rows")
    mirrored = frame["mirrored"].to_numpy()
    turned = mirrored != (frame["eye"] == "right").to_numpy()
    if turned.any():
        raise Damaged(path, f"mirrored is not what eye says in {turned.sum():,} of its rows")
    order = np.lexsort((frame["position"].cat.set_categories(POSITIONS).cat.codes.to_numpy(), photograph))
    five = np.bincount(photograph)[photograph[order]] == len(POSITIONS)
    corners, sides = (
        columns.to_numpy()[order][five].reshape(-1, len(POSITIONS), columns.shape[1])
        for columns in (frame[["x", "y"]], frame[["rotated", "mirrored"]])
    )
    first = corners.min(axis=1, keepdims=True)
    ranges = (corners.max(axis=1) - first[:, 0]) + size  # (photographs, 2): the side, by x and by y
    amiss = (ranges // 2 != size).any(axis=1) | (ranges[:, 0] != ranges[:, 1])
    amiss |= (corners - first != stored_corners(ranges.min(axis=1), *sides[:, 0].T)).any(axis=(1, 2))
    if amiss.any():
        raise Damaged(path, f"the boxes of {amiss.sum():,} photographs are not five of one square")


def label_ids(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """Return ids (N,), equal where rows agree in all columns; not consecutive, which would cost seconds at millions."""
    ids = np.zeros(len(frame), np.int64)
    for name in columns:
        numbers, values = pd.factorize(frame[name], use_na_sentinel=False)
        ids = ids * len(values) + numbers
    return ids


def left_right_pairs(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Pair the left with the right patch of the same data set, patient and position: (P, 2) row numbers.

    A patch without a partner, or of an eye whose side is not known, stands beside ABSENT. A patient with several
    photographs of an eye gives several pairs, in the order of the rows.
    """
    group = label_ids(frame, ["dataset", "patient_id", "position"])
    right, unknown = ((frame["eye"] == eye).to_numpy(dtype=np.int64) for eye in ("right", "unknown"))
    turn = _turns(3 * group + right + 2 * unknown)
    place = 2 * (group * (turn.max(initial=0) + 1) + turn) + unknown
    pair, number = np.unique(place, return_inverse=True)
    pairs = np.full((len(pair), 2), ABSENT, np.int64)
    pairs[number, right] = np.arange(len(frame))
    return pairs


def _turns(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count for each row (N,) how many rows of the same id come before it."""
    order = np.argsort(ids, kind="stable")
    starts = np.flatnonzero(np.diff(ids[order], prepend=-1))
    turns = np.empty(len(ids), np.int64)
    turns[order] = np.arange(len(ids)) - np.repeat(starts, np.diff(starts, append=len(ids)))
    return turns


def are_single(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return whether each patch (N,) has no partner among `left_right_pairs`."""
    pairs = left_right_pairs(frame)
    single = np.zeros(len(frame), bool)
    single[pairs[(pairs == ABSENT).any(axis=1)].max(axis=1)] = True
    return single
