"""How much a made-up workspace holds, and its logs: a line a step, and one after each epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swcl_cli import chance
from swcl_cli.workspace import RunFolder, write_text

PAPER_SPLITS = {  # train, val, test
    "odir": (7000, 1000, 1992), "eyepacs": (35_126, 0, 53_576), "messidor": (1196, 0, 0), "idrid": (330, 83, 103),
    "refuge-cls": (400, 400, 400), "drive": (16, 4, 20), "chase-db1": (16, 4, 8), "stare": (8, 2, 10),
    "refuge-seg": (400, 400, 400),
}  # fmt: skip
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Size:
    """`splits`: photographs of train, val and test; `scale`: of the pictures' sides; `weights`: numbers in an encoder;
    `epochs`: how often a training is measured.
    """

    initialisations: tuple[str, ...] = (
        "random", "simclr", "byol", "dino", "supervised-odir", "supervised-eyepacs", "bit-s", "bit-m", "multitask",
        "swcl-image", "swcl",
    )  # fmt: skip
    seeds: int = 5
    folds: int = 5
    splits: Mapping[str, tuple[int, int, int]] = field(default_factory=lambda: PAPER_SPLITS)
    pretrain_steps: int = 39_800
    labeler_steps: int = 5_400
    finetune_steps: int = 600
    epochs: int = 40
    scale: float = 1.0
    weights: int = 23_500_000


PAPER = Size()
SMALL = Size(
    initialisations=("random", "bit-m", "swcl"), seeds=2, folds=2,
    splits={name: (min(train, 16), min(val, 8), min(test, 8)) for name, (train, val, test) in PAPER_SPLITS.items()},
    pretrain_steps=120, labeler_steps=80, finetune_steps=40, epochs=4, scale=0.2, weights=10,
)  # fmt: skip


def falling_loss(count: int, key: int, first: float) -> dict[str, Numbers | float]:
    """What every training logs at each step, (count,) each, or the same at all."""
    rng = chance.generator(0, "large log", item=key)
    loss = first * (0.3 + 0.7 * np.exp(-np.linspace(0, 4, count))) + rng.normal(0, 0.1, count)
    rate = np.linspace(0.001, 0, count)
    speed: dict[str, Numbers | float] = {
        "gradient_norm": rng.gamma(2, 1, count),
        "views_a_second": 900.0,
        "waited_share": 0.00123456789,
    }
    return {"loss": loss, "learning_rate": rate, **speed}


def write_log(run: RunFolder, steps: Mapping[str, Numbers | float], epochs: Mapping[str, Numbers]) -> None:
    """steps: (S,) each, or one number for all; epochs: (E,) each."""
    count, turns = len(np.atleast_1d(steps["loss"])), len(next(iter(epochs.values())))
    columns = {key: np.broadcast_to(values, count).tolist() for key, values in steps.items()}
    ends = {round(count * (turn + 1) / turns) - 1: turn for turn in range(turns)}
    lines = []
    for step, values in enumerate(zip(*columns.values(), strict=True)):
        lines.append(_line(step, dict(zip(columns, values, strict=True))))
        if step in ends:
            turn = ends[step]
            lines.append(_line(step, {"epoch": turn, **{key: float(values[turn]) for key, values in epochs.items()}}))
    write_text(run.log, "\n".join([*lines, ""]))


def _line(step: int, record: Mapping[str, Any]) -> str:
    return json.dumps({"step": step, **record})
