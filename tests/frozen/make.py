"""Makes workspace.tar.xz: a workspace as version 0.1 leaves it, finished and interrupted work of every step.

Run once, with the code of that version: PYTHONPATH=CHECKOUT:. python tests/frozen/make.py

Photographs are phantom eyes, made small and flat. Of the weights nothing matters but their names, shapes and what the
file says of itself: what is written holds one value a tensor, so that 700 MB of files become an archive of 280 kB.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import safetensors.torch
import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor

from tests.frozen.archive import ARCHIVE, pack

HEAD_ROWS = 8  # a tensor of so few rows is a head's, and stays as it is
EYES = 16  # of EyePACS that keep their photographs
DRIVE = (72, 70)
SAVED: dict[str, dict[str, Any]] = {
    ".tif": {"compression": "tiff_lzw"},
    ".jpg": {"quality": 80},
    ".jpeg": {"quality": 80},
}
START = 1_600_000_000
W = ("--workers", 0)
TUNED = ("--epochs", 1, "--seeds", 1, "--batch", 2, "--lr", 0.001, *W)
CLASSES = ("finetune", "idrid", *TUNED, "--crop", 32, "--init", "swcl.safetensors")
VESSELS = ("finetune", "drive", *TUNED, "--crop", 64, "--output-stride", 16, "--init", "swcl.safetensors")
PRETRAIN = ("pretrain", "--architecture", "resnet18", "--batch-patches", 16, "--epochs", 1, "--warmup-epochs", 0, *W)
PREPARED = {  # settings by data set; the downloads are not frozen but for the last one
    "odir": ("--size", 48),
    "eyepacs": ("--size", 48),
    "idrid": ("--size", 40),
    "drive": ("--size", 0),
    "folder": ("--size", 40, "--labels", "phantom/folder/labels.csv"),
}
FINISHED: dict[str, tuple[object, ...]] = {
    "train-labeler": (
        "train-labeler", "--architecture", "resnet18", "--crop", 32, "--views", 2, "--batch-labelled", 4,
        "--batch-unlabelled", 4, "--accumulate", 1, "--epochs", 1, "--milestones", 1, *W,
    ),
    "make-swap": ("make-swap", *W),
    "pretrain": (*PRETRAIN, "--views", 64),
    "idrid": CLASSES,
    "grid": (*CLASSES, "--grid", "--freeze", "--name", "grid"),
    "drive": VESSELS,
    "folder": (
        "finetune", "folder", *TUNED, "--data", "drive", "--crop", 64, "--output-stride", 16, "--folds", 2, "--init",
        "random", "--architecture", "resnet18", "--name", "drive-random",
    ),
}  # fmt: skip
INTERRUPTED: dict[str, tuple[int, tuple[object, ...]]] = {  # at which save of the command
    "pretrain": (2, (*PRETRAIN, "--views", 160, "--name", "begun")),
    "idrid": (4, (*CLASSES, "--seeds", 2, "--name", "begun")),
    "grid": (4, (*CLASSES, "--grid", "--freeze", "--name", "grid-begun")),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "workspace").mkdir()
        os.chdir(Path(place) / "workspace")
        draw()
        for dataset, options in PREPARED.items():
            swcl("prep", dataset, f"phantom/{dataset}", *options, *W)
        with patched():
            for command in FINISHED.values():
                swcl(*command)
        for save, command in INTERRUPTED.values():
            with patched(save):
                swcl(*command, "--save-seconds", 0, expected=130)
        swcl("report")
        keep_what_was_reported(Path(place))
        for name in (*PREPARED, "lesion_masks"):
            if name != "folder":
                shutil.rmtree(f"phantom/{name}")
        pack(Path(place))
        print(f"{ARCHIVE.stat().st_size:,} bytes")


def keep_what_was_reported(place: Path) -> None:
    """Tables and the names of figures, beside the workspace."""
    report = place / "workspace/report"
    for table in report.glob("tables/*.csv"):
        (place / "reported").mkdir(exist_ok=True)
        shutil.copyfile(table, place / "reported" / table.name)
    figures = sorted(path.stem for path in report.glob("figures/*.png"))
    (place / "reported/figures.txt").write_text("\n".join(figures) + "\n")
    shutil.rmtree(report)


def draw() -> None:
    """Phantom downloads whose photographs take few bytes, some of EyePACS without their photographs."""
    drawn = ("--drawn", ",".join(PREPARED), "--patients", 8, "--drawn-size", 96, "--seed", 12)
    swcl("--workspace", "drawn", "prep", "phantom", *drawn, "--size", 48, *W)
    shutil.move("drawn/phantom", "phantom")
    shutil.rmtree("drawn")
    for path in sorted(Path("phantom/eyepacs").rglob("*.jp*g"))[EYES:]:
        path.unlink()
    for path in sorted(Path("phantom").rglob("*.*")):
        if path.suffix in (".jpg", ".jpeg", ".tif") and "lesion_masks" not in path.parts:
            image = Image.open(path).convert("RGB")
            small = image.resize(DRIVE if path.suffix == ".tif" else image.size, Image.Resampling.BILINEAR)
            ImageOps.posterize(small.filter(ImageFilter.GaussianBlur(2)), 5).save(path, **SAVED.get(path.suffix, {}))
        elif path.suffix == ".gif":
            Image.open(path).convert("L").resize(DRIVE).point(lambda level: 255 * (level > 64)).save(path)
    for number, path in enumerate(sorted(Path("phantom").rglob("*"))):
        os.utime(path, (START + number, START + number))  # whole seconds, as an archive keeps them


@contextmanager
def patched(interrupted_at: int = 0) -> Iterator[None]:
    """Weights are flattened before they are written; SIGINT comes with one of the command's saves."""
    save, saves = safetensors.torch.save_file, 0

    def flat_save(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
        nonlocal saves
        save({name: flattened(name, tensor) for name, tensor in tensors.items()}, path, metadata)
        saves += "resume.safetensors" in Path(path).name
        if interrupted_at and saves == interrupted_at:
            signal.raise_signal(signal.SIGINT)

    with mock.patch.object(safetensors.torch, "save_file", flat_save):
        yield


def flattened(name: str, tensor: Tensor) -> Tensor:
    """Of a network: each layer takes the mean of what comes in. Of an optimiser: nothing has moved yet."""
    if not tensor.is_floating_point() or tensor.ndim == 0 or len(tensor) <= HEAD_ROWS:
        return tensor
    if name.startswith("optimizer."):
        return torch.zeros_like(tensor)
    if tensor.ndim > 1:
        return torch.full_like(tensor, 1 / tensor[0].numel())
    return torch.full_like(tensor, float(name.endswith(("weight", "running_var"))))


def swcl(*arguments: object, expected: int = 0) -> None:
    from swcl_cli.cli import app

    sys.argv = ["swcl", *map(str, arguments)]
    print("$", *sys.argv)
    try:
        app(prog_name="swcl")
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == expected, code


if __name__ == "__main__":
    main()
