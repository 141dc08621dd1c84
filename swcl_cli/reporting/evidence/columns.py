"""List the columns that the report reads of each parquet file, and what it checks of them."""

from __future__ import annotations

from swcl_cli.data import columns

_PREDICTED = "task name run split image_id patient_id path"
MANIFEST = columns.MANIFEST.only(["image_id", "split", "patient_id", "group_id", "path"])
LABELER_SCORES = columns.LABELER_SCORES.only(["dataset", "image_id", "patient_id", "truth", "score"])
SWAP = columns.SWAP.only(
    [
        *("dataset", "position", "path", "x", "y", "size", "rotated", "mirrored"),
        *("score", "abnormal", "image_abnormal", "checksum"),
    ]
)
JUDGED = columns.JUDGED
AUDIT = columns.AUDIT
ORIENTATION = columns.ORIENTATION.only(
    ["image_id", "patient_id", "eye", "path", "inverted", "inverted_confidence", "side", "side_confidence", "misnamed"]
)
QUALITY = columns.QUALITY
RESULTS = columns.RESULTS.only(
    ["task", "name", "run", "split", "measure", "seed", "fold", "value", "primary", "low", "high"]
)
GRID = columns.GRID.only(["task", "name", "run", "learning_rate", "weight_decay", "value"])
CLASSIFIED = columns.NUMBERED.only(f"{_PREDICTED} head truth prediction probabilities".split())
NUMBERS = columns.NUMBERED.only(f"{_PREDICTED} head true_number predicted_number".split())
SEGMENTED = columns.SEGMENTED.only(f"{_PREDICTED} structure mask_path map_path shades f1".split())

POSITIVE, LIKELIHOOD = "positive", "likelihood"  # probabilities of any class above 0, and of the true class
CLASS_COLUMNS = (*CLASSIFIED.names[:-1], POSITIVE, LIKELIHOOD)  # of classifications, once they are read
