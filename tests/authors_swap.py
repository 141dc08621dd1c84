"""Write and read retinal-SWAP in the form of its authors, by their rules alone: none of our code is used (FACTS 4)."""

from __future__ import annotations

import csv
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from tests import prepared

COLUMNS = ["id", "left-patch", "left-score", "right-patch", "right-score"]
PATIENTS = [("oia-odir", "1"), ("oia-odir", "2"), ("eyepacs", "1")]
POSITIONS = ["tl", "c", "tr", "bl", "br"]
SUBSETS = [list(kinds) for count in (1, 2, 3) for kinds in combinations(("position", "abnormality", "patient"), count)]


class Row(NamedTuple):
    """A row of the table as their loader takes it: of each patch the pixels and whether it is abnormal."""

    id: int
    patient: int
    position: int
    patches: list[Any]
    abnormal: list[bool]


def write_as_authors(folder: Path) -> list[list[str]]:
    """Write patches and labels.csv in the authors' form; return the table's rows."""
    rng = np.random.default_rng(1)
    (folder / "patches").mkdir(parents=True)
    rows: list[list[str]] = []
    for dataset, patient in PATIENTS:
        for position in POSITIONS:
            names = [f"{dataset}_{patient}_{eye}_{position}" for eye in ("left", "right")]
            scores = [f"{score:.17f}" for score in rng.random(2)]
            for item, name in enumerate(names):
                pixels = prepared.photograph(2 * len(rows) + item)[:32, :32]
                Image.fromarray(pixels).save(folder / "patches" / f"{name}.jpg")
            rows.append([str(2 * len(rows)), names[0], scores[0], names[1], scores[1]])
    write_table(folder, rows)
    return rows


def write_table(folder: Path, rows: list[list[str]]) -> None:
    with open(folder / "labels.csv", "w", newline="") as handle:
        csv.writer(handle).writerows([COLUMNS, *rows])


def in_version_0_1(row: list[str]) -> list[str]:
    """Return the row as version 0.1 wrote it: an id that is text, and names with their suffix."""
    dataset, patient, _, position = row[1].split("_")
    return [f"{dataset}_{patient}_{position}", f"{row[1]}.jpg", row[2], f"{row[3]}.jpg", row[4]]


def read_as_authors(folder: Path) -> list[Row]:
    """Read labels.csv by the rules of the authors' loader, which stops where one doesn't hold."""
    rows = []
    for row in pd.read_csv(folder / "labels.csv").to_dict("records"):
        names = [row["left-patch"], row["right-patch"]]
        patient = int(names[0].split("_")[1]) + (0 if "eyepacs" in names[0] else 44352)
        position, other = (["tl", "tr", "c", "bl", "br"].index(name.split("_")[-1]) for name in names)
        assert position == other and isinstance(row["id"], int)
        patches = [np.asarray(Image.open(folder / "patches" / f"{name}.jpg")).astype(int) for name in names]
        rows.append(Row(row["id"], patient, position, patches, [row[f"{e}-score"] >= 0.4 for e in ("left", "right")]))
    return rows
