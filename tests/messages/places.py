"""Folders in which the commands of the transcripts are given: downloads, and workspaces with what is wrong in them."""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import save_file

from swcl_cli.data import manifest
from swcl_cli.workspace import Workspace, read_provenance, write_parquet, write_safetensors
from tests import downloads, prepared
from tests.frozen.archive import unpack

SIDE = 64
UNUSED = (  # of the frozen workspace
    "reported",
    "workspace/phantom/folder/south",
    "workspace/runs/finetune-idrid",
    "workspace/finetune/idrid/grid-begun",
    *(f"workspace/{part}/{dataset}" for part in ("data", "finetune") for dataset in ("folder", "drive")),
)
POSITIONS = ("tl", "tr", "c", "bl", "br")


def empty(root: Path) -> None:
    """A workspace in which nothing was done yet, and a folder that is no download."""
    (root / "elsewhere").mkdir()
    (root / "elsewhere/notes.txt").write_text("mine")


def odir(root: Path) -> None:
    """Two patients, both eyes; the table is a text: full_df.csv."""
    downloads.odir_kaggle(root / "source", {1: ("normal fundus", "drusen"), 2: ("normal fundus", "cataract")})
    (root / "source/ODIR-5K/data.xlsx").unlink()
    rows = [[*downloads.odir_row(patient), f"{patient}_{eye}.jpg"] for patient in (1, 2) for eye in ("left", "right")]
    downloads.write_csv(root / "source/full_df.csv", [[*downloads.ODIR_COLUMNS, "filename"], *rows])
    downloads.odir_official(root / "official", {"Training": [1]})
    downloads.odir_official(root / "twice", {"Training": [1, 2], "On-site Test": [2]})


def eyepacs(root: Path) -> None:
    downloads.eyepacs(root / "source", train=[10])
    downloads.eyepacs(root / "twice", train=[10], test=[10])
    for path in (root / "twice/train").iterdir():
        path.write_bytes(b"")


def idrid(root: Path) -> None:
    downloads.idrid(root / "source", train=2, test=1)
    downloads.messidor(root / "messidor", {"Base11": ["a1", "a2"]})
    downloads.idrid_seg(root / "lesions", train=[1], test=[])
    (root / "lesions/A. Segmentation/2. All Segmentation Groundtruths/a. Training Set/2. Haemorrhages").rmdir()


def vessels(root: Path) -> None:
    downloads.drive(root / "drive", train=2, test=1)
    downloads.chase(root / "chase", [1])
    downloads.refuge(root / "refuge", "index")


def folder(root: Path) -> None:
    """Photographs of one's own."""
    for item, name in enumerate(("north/P1_L.jpg", "north/P1_R.jpg", "P3_OD.tif")):
        downloads.write_photograph(root / "photographs" / name, item)
    (root / "masks/north").mkdir(parents=True)
    downloads.field(120, 100).save(root / "masks/north/P1_L.png")


def structures(root: Path) -> None:
    """Photographs, and masks of arteries (red) and veins (blue) of several forms."""
    for item in range(3):
        downloads.write_photograph(root / f"photographs/{item}.jpg", item)
    drawn = np.zeros((100, 120, 3), np.uint8)
    drawn[20:40, 20:100], drawn[60:70, 20:100] = (255, 0, 0), (0, 0, 255)
    odd = drawn.copy()
    odd[50:52, 10:16] = (0, 255, 0)
    smooth = (
        Image.fromarray(drawn).resize((60, 50), Image.Resampling.BICUBIC).resize((120, 100), Image.Resampling.BICUBIC)
    )
    masks = {"colours": drawn, "odd": odd, "smooth": np.asarray(smooth), "small": drawn[1:], "veins": drawn[..., 2]}
    for name, pixels in masks.items():
        (root / name).mkdir()
        for item in range(3):
            Image.fromarray(pixels).save(root / name / f"{item}.png")
    (root / "classes.csv").write_text("colour,name\n#ff0000,artery\n#0000ff,vein\n")


def trained(root: Path) -> None:
    """Prepared data sets, a labeler, patches, and what else the steps between may be given."""
    prepared.labelled_eyes(root, "odir", 6)
    prepared.labelled_eyes(root, "eyepacs", 4, abnormal=None, dr_grade=0)
    prepared.labelled_eyes(root, "normal", 4, abnormal=False)
    prepared.labelled_eyes(root, "tests", 2, split="test", abnormal=True)
    for name, size in (("large", 96), ("own-size", 0)):
        prepared.write(root, name, [{"image": prepared.photograph(0), "abnormal": True}], size=size)
    _other_manifests(root)
    prepared.labeler(root, ["odir"], ["eyepacs"])
    _weight_files(root / "files")
    prepared.swap(root, _patches(root))
    _other_swaps(root)
    _released(root / "released")


def tasks(root: Path) -> None:
    """Data sets for fine-tuning, in each of which something is wrong."""
    splits = ("train", "train", "val", "test")
    image = prepared.photograph(0, 40, 40)
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20] = 255

    def write(dataset: str, *rows: dict[str, Any], size: int = 40) -> None:
        listed = [{"image": image, "split": splits[number % 4], **row} for number, row in enumerate(rows)]
        prepared.write(root, dataset, listed, size=size)

    write("idrid", *({"dr_grade": grade, "dme_grade": 0} for grade in (0, 4, 1, 1)))
    write("messidor", *({"dr_grade": number % 2, "dme_grade": 0, "split": "train"} for number in range(4)))
    write("refuge-cls", *({"glaucoma": number == 0} for number in range(4)))
    write("drive", *({"mask": mask, "fov": mask} for _ in range(3)), {}, size=0)
    write("stare", *({"mask": mask, "fov": mask, "split": "train"} for _ in range(3)), size=0)
    write("chase-db1", *({"mask": mask[:30]} for _ in range(4)), size=0)
    write("refuge-seg", *({"mask": mask // 2} for _ in range(4)))
    write("folder", {}, {"abnormal": True}, {}, {})
    write("own", *({"dr_grade": number % 2, "abnormal": True if number else None, "mask": mask} for number in range(4)))
    _weight_files(root / "files")


def finished(root: Path) -> None:
    """What version 0.1 has finished and begun."""
    unpack(root, besides=UNUSED)
    for path in (root / "workspace").iterdir():
        shutil.move(path, root / path.name)
    save_file({"conv1.weight": torch.zeros(1)}, root / "foreign.safetensors")
    model = Workspace(root).finetune("idrid", "swcl") / "seed0/model.safetensors"
    made = read_provenance(model)
    write_safetensors(root / "lacking.safetensors", {"encoder.conv1.weight": torch.zeros(1)}, made)
    del made["model"]["mean"]
    write_safetensors(root / "older.safetensors", {}, made)
    (root / "filled").mkdir()
    (root / "filled/notes.txt").write_text("mine")
    (root / "texts").mkdir()
    (root / "texts/a.jpg").write_text("no photograph")


PLACES: dict[str, Callable[[Path], None]] = {
    place.__name__: place
    for place in (empty, odir, eyepacs, idrid, vessels, folder, structures, trained, tasks, finished)
}


def _other_manifests(root: Path) -> None:
    table = pq.read_table(Workspace(root).manifest("odir"))
    made = read_provenance(Workspace(root).manifest("odir"))
    for name in ("older", "foreign"):
        Workspace(root).data(name).mkdir()
    write_parquet(Workspace(root).manifest("older"), table.drop_columns(["checksum"]), made)
    pq.write_table(table.replace_schema_metadata(None), Workspace(root).manifest("foreign"))


def _weight_files(folder: Path) -> None:
    """Of few tensors each: what is wrong is told before the rest is missed."""
    about = {"image_size": SIDE, "classes": ["normal", "abnormal"], **prepared.COLOURS}
    work = {"settings": {"labelled": ["odir"], "unlabelled": []}, "inputs": {}}
    heads = {"fc.weight": torch.zeros(2, 512), "fc.bias": torch.zeros(2)}

    def write(name: str, tensors: dict[str, torch.Tensor], kind: str, architecture: str) -> None:
        described = {"step": "?", **work, kind: {**about, "architecture": architecture}}
        write_safetensors(folder / f"{name}.safetensors", tensors, described)

    write("classes", {"fc.weight": torch.zeros(3, 512)}, "labeler", "resnet18")
    write("resnet50", heads, "labeler", "resnet50")
    write("lacking", heads, "labeler", "resnet18")
    write("headless", {"conv1.weight": torch.zeros(1)}, "labeler", "resnet18")
    write("encoder", {"conv1.weight": torch.zeros(1)}, "encoder", "resnet18")
    write_safetensors(folder / "nothing.safetensors", {"x": torch.zeros(1)}, {"step": "?", **work})
    save_file({"conv1.weight": torch.zeros(1)}, folder / "foreign.safetensors")
    save_file({name: torch.zeros(64, 3, 7, 7) for name in ("conv1.weight", "encoder.conv1.weight")},
              folder / "twice.safetensors")  # fmt: skip
    torch.save(Fraction(1), folder / "objects.bin")
    kernel = {"conv1.weight": torch.zeros(64, 3, 7, 7)}
    torch.save({"student": kernel, "teacher": kernel, "args": Namespace(lr=0.1)}, folder / "two.pth.tar")
    torch.save({f"online.{key}": tensor for key, tensor in kernel.items()}, folder / "below.ckpt")
    torch.save([torch.zeros(1)], folder / "list.pth")


def _patches(root: Path) -> pd.DataFrame:
    """Five of each photograph of the first two patients of odir."""
    table = manifest.read(Workspace(root).manifest("odir")).query("patient_id in ('0', '1')")
    rows: list[dict[str, Any]] = [
        {"patient_id": photograph.patient_id, "image_id": photograph.image_id, "eye": photograph.eye,
         "path": photograph.path, "position": position, "size": 32, "score": 0.2 * place, "abnormal": place > 1}
        for photograph in table.itertuples()
        for place, position in enumerate(POSITIONS)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _other_swaps(root: Path) -> None:
    table, made = pq.read_table(Workspace(root).swap), read_provenance(Workspace(root).swap)
    sizes = pa.array([32, *[16] * (len(table) - 1)], table.schema.field("size").type)
    write_parquet(root / "sizes.parquet", table.set_column(table.column_names.index("size"), "size", sizes), made)
    write_parquet(root / "older.parquet", table.drop_columns(["single", "mirrored"]), made)
    pq.write_table(table.replace_schema_metadata(None), root / "foreign.parquet")


def _released(folder: Path) -> None:
    """The authors' layout: one pair of patches."""
    (folder / "patches").mkdir(parents=True)
    for eye, width in (("left", 32), ("right", 32)):
        patch = Image.fromarray(prepared.photograph(width, width, 32))
        patch.save(folder / f"patches/odir_1_{eye}_c.jpg")
    header = "id,left-patch,left-score,right-patch,right-score"
    (folder / "labels.csv").write_text(f"{header}\n1,odir_1_left_c.jpg,0.5,odir_1_right_c.jpg,0.1\n")
