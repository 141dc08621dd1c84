"""Say which numbers and words a column may hold, in whatever table it stands."""

from __future__ import annotations

import math
from dataclasses import dataclass

from swcl_cli.catalogue.labels import LABELS
from swcl_cli.datasets.download import SPLITS


@dataclass(frozen=True)
class Limits:
    """Hold the least and the greatest number, or the only values, that a column may have."""

    low: float = -math.inf
    high: float = math.inf
    allowed: tuple[str, ...] = ()


EYES = ("left", "right", "unknown")
SHARE = Limits(0, 1)
COUNT = Limits(0, 2**40)
PIXELS = Limits(0, 2**20)
LIMITS = {  # by name: a column has one meaning in whatever table it stands
    **{label.name: Limits(label.low, label.high) for label in LABELS.values() if label.kind in ("grade", "number")},
    "split": Limits(allowed=SPLITS),
    "eye": Limits(allowed=EYES),
    "kind": Limits(allowed=("copy", "visit")),
    "sure": Limits(allowed=("certain", "likely")),
    "other_split": Limits(allowed=SPLITS),
    "turn": Limits(0, 7),
    "position": Limits(allowed=("tl", "tr", "c", "bl", "br")),
    **dict.fromkeys(("width", "height", "size"), Limits(1, 2**20)),
    **dict.fromkeys(("x", "y"), PIXELS),
    **dict.fromkeys(("score", "f1", "lesion_share"), SHARE),
    **dict.fromkeys(("inverted_confidence", "side_confidence", "disc_confidence", "fovea_confidence"), SHARE),
    "side": Limits(allowed=EYES[:2]),
    **dict.fromkeys(("checksum", "other_checksum"), Limits(0, 2**32 - 1)),
    **dict.fromkeys(("truth", "prediction"), Limits(0, 1000)),
    **dict.fromkeys(("seed", "fold", "best_epoch"), Limits(0, 2**31 - 1)),
    **dict.fromkeys(("learning_rate", "weight_decay"), Limits(0, 1000)),
    **dict.fromkeys(("true_positives", "false_positives", "false_negatives", "true_negatives"), COUNT),
}
