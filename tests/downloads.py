"""Small downloads in the public layouts, with fixed seeds: round bright fields on black, cheap to make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from swcl_cli.chance import generator

ODIR_COLUMNS = (
    "ID", "Patient Age", "Patient Sex", "Left-Fundus", "Right-Fundus", "Left-Diagnostic Keywords",
    "Right-Diagnostic Keywords", "N", "D", "G", "C", "A", "H", "M", "O",
)  # fmt: skip


def photograph(item: int, width: int = 120, height: int = 100) -> Image.Image:
    """A round field with a colour and a texture of its own."""
    rng = generator(0, "test photograph", item=item)
    colour = rng.integers([120, 60, 20], [220, 140, 90])
    blocks = rng.normal(0, 12, (8, 8, 1)) + colour
    texture = Image.fromarray(blocks.clip(0, 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return Image.composite(texture, Image.new("RGB", texture.size), field(width, height))


def field(width: int, height: int) -> Image.Image:
    mask = Image.new("L", (width, height))
    radius = 0.46 * min(width, height)
    centre = (width / 2, height / 2)
    box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask


def write_photograph(path: Path, item: int, **size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    photograph(item, **size).save(path)


def write_csv(path: Path, rows: Sequence[Sequence[object]], ending: str = "\n", start: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(",".join(map(str, row)) + ending for row in rows)
    path.write_bytes((start + text).encode())


def odir_row(patient: int, left: str = "normal fundus", right: str = "normal fundus") -> list[object]:
    names = (f"{patient}_left.jpg", f"{patient}_right.jpg")
    return [patient, 40 + patient, "Male" if patient % 2 else "Female", *names, left, right, *[0] * 8]


def write_xlsx(path: Path, rows: Sequence[Sequence[object]], columns: Sequence[str] = ODIR_COLUMNS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(list(rows), columns=list(columns)).to_excel(path, index=False)


def odir_kaggle(source: Path, patients: Mapping[int, tuple[str, str]]) -> Path:
    """patients: keywords of the left and right eye by ID."""
    write_xlsx(source / "ODIR-5K/data.xlsx", [odir_row(patient, *words) for patient, words in patients.items()])
    for patient in patients:
        for side, eye in enumerate(("left", "right")):
            write_photograph(source / f"preprocessed_images/{patient}_{eye}.jpg", 2 * patient + side)
    return source


def odir_official(source: Path, parts: Mapping[str, Sequence[int]]) -> Path:
    """parts: IDs by the part's name ("Training", "Off-site Test", "On-site Test")."""
    for part, patients in parts.items():
        folder = source / f"{part} Set"
        rows = [odir_row(patient, right="drusen") for patient in patients]
        write_xlsx(folder / f"Annotation/{part.lower()} annotation (English).xlsx", rows)
        for patient in patients:
            for side, eye in enumerate(("left", "right")):
                write_photograph(folder / f"Images/{patient}_{eye}.jpg", 2 * patient + side)
    return source


def eyepacs(source: Path, train: Sequence[int], test: Sequence[int] = ()) -> Path:
    tables: dict[str, list[list[Any]]] = {"train": [["image", "level"]], "test": [["image", "level", "Usage"]]}
    for part, patients in (("train", train), ("test", test)):
        for patient in patients:
            for side, eye in enumerate(("left", "right")):
                write_photograph(source / part / f"{patient}_{eye}.jpeg", 2 * patient + side)
                tables[part].append([f"{patient}_{eye}", patient % 5, *(["Public"] if part == "test" else [])])
    write_csv(source / "trainLabels.csv", tables["train"])
    if test:
        write_csv(source / "retinopathy_solution.csv", tables["test"], ending="\r\n")
    return source


def idrid(source: Path, train: int, test: int) -> Path:
    root = source / "B. Disease Grading"
    for part, name, count, tail in (("a. Training Set", "a", train, [""] * 3), ("b. Testing Set", "b", test, [])):
        rows: list[list[Any]] = [["Image name", "Retinopathy grade", "Risk of macular edema ", *tail]]
        for number in range(1, count + 1):
            stem = f"IDRiD_{number:03d}"
            write_photograph(root / "1. Original Images" / part / f"{stem}.jpg", number + 1000 * (name == "b"))
            rows.append([stem, number % 5, number % 3, *tail])
        kind = "Training" if name == "a" else "Testing"
        write_csv(root / f"2. Groundtruths/{name}. IDRiD_Disease Grading_{kind} Labels.csv", rows, ending="\r\n")
    return source


def drive(source: Path, train: int, test: int, test_vessels: bool = True) -> Path:
    for part, first, count in (("training", 21, train), ("test", 1, test)):
        for number in range(first, first + count):
            write_photograph(source / part / f"images/{number:02d}_{part}.tif", number, width=113, height=117)
            files = {f"mask/{number:02d}_{part}_mask.gif": field(113, 117)}
            if part == "training" or test_vessels:
                files[f"1st_manual/{number:02d}_manual1.gif"] = vessels(113, 117)
            for name, mask in files.items():
                (source / part / name).parent.mkdir(parents=True, exist_ok=True)
                mask.save(source / part / name)
    return source


def vessels(width: int, height: int) -> Image.Image:
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).line([(width // 4, height // 2), (3 * width // 4, height // 3)], fill=255, width=4)
    return mask
