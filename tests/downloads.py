"""Small downloads in the public layouts, with fixed seeds: round bright fields on black, cheap to make."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
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


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write_photograph(path: Path, item: int, **size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    photograph(item, **size).save(path)


def write_csv(path: Path, rows: Sequence[Sequence[object]], ending: str = "\n", start: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(",".join(map(str, row)) + ending for row in rows)
    path.write_bytes((start + text).encode())


def odir_row(patient: int, left: str = "normal fundus", right: str = "normal fundus") -> list[object]:
    names = (f"{patient}_left.jpg", f"{patient}_right.jpg")
    return [patient, 40 + patient % 60, "Male" if patient % 2 else "Female", *names, left, right, *[0] * 8]


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


IDRID_LAYERS = (
    ("1. Microaneurysms", "MA"), ("2. Haemorrhages", "HE"), ("3. Hard Exudates", "EX"), ("4. Soft Exudates", "SE"),
    ("5. Optic Disc", "OD"),
)  # fmt: skip


def idrid_seg(source: Path, train: Sequence[int], test: Sequence[int]) -> Path:
    """Photograph n has masks of the disc and of the first n % 5 lesions: each a square of its own, red by a palette."""
    root = source / "A. Segmentation"
    for part, numbers in (("a. Training Set", train), ("b. Testing Set", test)):
        for folder, _ in IDRID_LAYERS:
            (root / "2. All Segmentation Groundtruths" / part / folder).mkdir(parents=True)
        for number in numbers:
            stem = f"IDRiD_{number:02d}"
            write_photograph(root / "1. Original Images" / part / f"{stem}.jpg", number)
            for place, (folder, ending) in enumerate(IDRID_LAYERS):
                if place < number % 5 or ending == "OD":
                    path = root / "2. All Segmentation Groundtruths" / part / folder / f"{stem}_{ending}.tif"
                    square(place).save(path, compression="tiff_lzw")
    return source


def square(place: int, width: int = 120, height: int = 100) -> Image.Image:
    """Ten pixels across and down from (20 + 8 place, 40) on, so that neighbours overlap by two."""
    image = Image.new("P", (width, height))
    image.putpalette([0, 0, 0, 255, 0, 0])
    ImageDraw.Draw(image).rectangle((20 + 8 * place, 40, 29 + 8 * place, 49), fill=1)
    return image


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


MESSIDOR_COLUMNS = ("Image name", "Ophthalmologic department", "Retinopathy grade", "Risk of macular edema ")


def messidor(source: Path, bases: Mapping[str, Sequence[str]], **size: int) -> Path:
    """bases: stems by base; grades count up by image, the tables lie beside the folders."""
    item = 0
    for base, stems in bases.items():
        rows = []
        for stem in stems:
            write_photograph(source / base / f"{stem}.tif", item, **size)
            rows.append([f"{stem}.tif", "a hospital", item % 4, item % 3])
            item += 1
        write_xlsx(source / f"Annotation_{base}.xlsx", rows, MESSIDOR_COLUMNS)
    return source


def stare(source: Path, stems: Sequence[str], flat: bool = False) -> Path:
    for item, stem in enumerate(stems):
        for folder, name, image in (
            ("stare-images", f"{stem}.ppm.gz", photograph(item, 117, 113)),
            ("labels-ah", f"{stem}.ah.ppm.gz", vessels(117, 113)),
            ("labels-vk", f"{stem}.vk.ppm.gz", vessels(117, 113)),
        ):
            path = source / ("" if flat else folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress(encoded(image, "PPM"), compresslevel=1, mtime=0))
    return source


def chase(source: Path, children: Sequence[int]) -> Path:
    source.mkdir(parents=True, exist_ok=True)
    for child in children:
        for side, letter in enumerate("LR"):
            photograph(2 * child + side, 119, 116).save(source / f"Image_{child:02d}{letter}.jpg")
            for observer in ("1stHO", "2ndHO"):
                vessels(119, 116).convert("1").save(source / f"Image_{child:02d}{letter}_{observer}.png")
    return source


def disc_and_cup(width: int = 124, height: int = 120) -> Image.Image:
    """0 in the cup, 128 in the rim, 255 elsewhere."""
    mask = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(mask)
    draw.ellipse((20, 50, 38, 68), fill=128)
    draw.ellipse((25, 55, 33, 63), fill=0)
    return mask


REFUGE_FOLDERS = {  # packaging: photographs, masks of training (by kind), validation and test, and the tables' folders
    "challenge": {
        "train": ("Training400/{kind}", "Annotation-Training400/Disc_Cup_Masks/{kind}", ""),
        "val": ("REFUGE-Validation400", "REFUGE-Validation400-GT/Disc_Cup_Masks", "REFUGE-Validation400-GT"),
        "test": ("Test400", "REFUGE-Test-GT/Disc_Cup_Masks/{letter}", "REFUGE-Test-GT"),
    },
    "second": {
        "train": (
            "REFUGE2/Train/REFUGE1-train/Training400/{kind}",
            "REFUGE2/Train/REFUGE1-train/Disc_Cup_Masks/{kind}",
            "",
        ),
        "val": (
            "REFUGE2/Train/REFUGE1-val/REFUGE-Validation400",
            "REFUGE2/Train/REFUGE1-val/Disc_Cup_Masks",
            "REFUGE2/Train/REFUGE1-val",
        ),
        "test": (
            "REFUGE2/Train/REFUGE1-test/Test400",
            "REFUGE2/Train/REFUGE1-test/Disc_Cup_Masks",
            "REFUGE2/Train/REFUGE1-test",
        ),
    },
    "index": {split: (f"{split}/images", f"{split}/seg", split) for split in ("train", "val", "test")},
}
REFUGE_LABELS = {"g0001": 1, "n0001": 0, "n0002": 0, "V0001": 0, "V0002": 1, "T0001": 1, "T0002": 0}
REFUGE_PARTS = {"g": "train", "n": "train", "V": "val", "T": "test"}


def refuge(source: Path, packaging: str) -> Path:
    index: dict[str, dict[str, dict[str, Any]]] = {"train": {}, "val": {}, "test": {}}
    for item, (stem, label) in enumerate(REFUGE_LABELS.items()):
        part = REFUGE_PARTS[stem[0]]
        kind, letter = ("Glaucoma", "G") if label else ("Non-Glaucoma", "N")
        photographs, masks, _ = (folder.format(kind=kind, letter=letter) for folder in REFUGE_FOLDERS[packaging][part])
        write_photograph(source / photographs / f"{stem}.jpg", item, width=124, height=120)
        (source / masks).mkdir(parents=True, exist_ok=True)
        disc_and_cup().save(source / masks / f"{stem}.bmp")
        entries = index[part]
        entries[str(len(entries))] = {"ImgName": f"{stem}.jpg", "Label": label, "Fovea_X": 60.5}
    for part, (_, _, tables) in REFUGE_FOLDERS[packaging].items():
        entries = index[part]
        if packaging == "index":
            (source / tables / "index.json").write_text(json.dumps(entries))
            continue
        rows = [[number, entry["ImgName"], entry["Label"]] for number, entry in entries.items()]
        if part == "val":
            write_xlsx(source / tables / "Fovea_locations.xlsx", rows, ("ID", "ImgName", "Glaucoma Label"))
        elif part == "test":
            name = "Glaucoma_label_and_Fovea_location.xlsx"
            write_xlsx(source / tables / name, rows, ("ID", "ImgName", "Label(Glaucoma=1)"))
    return source
