"""List the columns that the report needs of each parquet file, with their types."""

from __future__ import annotations

import pyarrow as pa

from swcl_cli.data.manifest import SPLITS
from swcl_cli.swap.crops import POSITIONS


def _schema(texts: str, gaps: str = "", **others: pa.DataType) -> pa.Schema:
    """texts: the columns of strings; others: those of other types; gaps: the columns that may be null in a row."""
    kinds = dict.fromkeys(texts.split(), pa.string()) | others
    return pa.schema([pa.field(name, kind, nullable=name in gaps.split()) for name, kind in kinds.items()])


_INT, _FLOAT, _BOOL = pa.int64(), pa.float64(), pa.bool_()
_PIXELS, _SCORE = pa.int32(), pa.float32()
_PREDICTED = "task name run split image_id patient_id path"
MANIFEST = _schema("split patient_id")
LABELER_SCORES = _schema("dataset image_id patient_id", truth=_BOOL, score=_SCORE)
SWAP = _schema(
    "dataset position path",
    **{"x": _PIXELS, "y": _PIXELS, "size": _PIXELS, "mirrored": _BOOL, "score": _SCORE},
    **{"abnormal": _BOOL, "image_abnormal": _BOOL},
    gaps="image_abnormal",
)
RESULTS = _schema(
    "task name run split measure",
    **{"seed": _INT, "fold": _INT, "value": _FLOAT, "primary": _BOOL, "low": _FLOAT, "high": _FLOAT},
    gaps="fold value low high",
)
GRID = _schema("task name run", learning_rate=_FLOAT, weight_decay=_FLOAT, value=_FLOAT, gaps="value")
CLASSIFIED = _schema(f"{_PREDICTED} head", truth=_INT, prediction=_INT, probabilities=pa.list_(_FLOAT))
SEGMENTED = _schema(f"{_PREDICTED} structure mask_path map_path", shades=pa.list_(_INT), f1=_FLOAT, gaps="map_path")

POSITIVE, LIKELIHOOD = "positive", "likelihood"  # probabilities of any class above 0, and of the true class
CLASS_COLUMNS = (*CLASSIFIED.names[:-1], POSITIVE, LIKELIHOOD)  # of classifications, once they are read
ALLOWED = {"split": SPLITS, "position": POSITIONS}
SHARES = ("score", "f1")  # from 0 to 1
