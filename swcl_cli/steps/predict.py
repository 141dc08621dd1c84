"""`predict`: a model of a task, photographs of any kind -> a table of what it says of them, masks and overlays."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from swcl_cli import console
from swcl_cli.data.augment import normalise
from swcl_cli.data.loaders import Key, make_loader
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.pixel_measures import diameter_ratio
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.unprepared import Form, find_photographs, read_at_own_size, read_unprepared
from swcl_cli.reporting.figures.overlays import overlay
from swcl_cli.settings import PredictSettings
from swcl_cli.tasks.classification import TEST_BATCH, test_view
from swcl_cli.tasks.saved import Description, read_model
from swcl_cli.tasks.segmented import at_size, predict_log_odds
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace, atomic, differences, fingerprint, provenance, write_text

RECORD = "predict.json"  # what the folder holds, and whose it is
TABLE, ASIDE = "predictions.csv", "unreadable.csv"
OVERLAY_QUALITY = 90

Row = dict[str, Any]


@dataclass(frozen=True)
class Seen:
    """A photograph as the network wants it, float32 (3, H, W), and its own width and height; or what is wrong."""

    name: str
    image: NDArray[np.float32] | None = None
    own: tuple[int, int] = (0, 0)
    problem: str = ""
    detail: str = ""


class Inputs(Dataset[Seen]):
    """(0, item) -> what is seen of the item-th photograph."""

    def __init__(self, found: Mapping[str, Path], about: Description) -> None:
        self.names, self.paths, self.about = list(found), list(found.values()), about
        self.form = Form(about.size, about.square, about.crop_to_field, about.lossless)

    def __getitem__(self, key: Key) -> Seen:
        name, about = self.names[key[1]], self.about
        try:
            photograph, own = read_unprepared(self.paths[key[1]], self.form)
        except Unusable as unusable:
            return Seen(name, problem=unusable.problem, detail=unusable.detail)
        if about.kind == "classification":
            return Seen(name, test_view(photograph, about.crop, about.mean, about.std), own)
        return Seen(name, normalise(photograph, about.mean, about.std), own)


def run(settings: PredictSettings) -> Path:
    """Writes the folder `--out`; returns it. Raises SwclError where no photograph could be read."""
    path = _existing(settings)
    network, about = read_model(path)
    found = find_photographs(settings.images, besides=settings.out)
    names = hashlib.sha256("\n".join(found).encode(errors="surrogateescape")).hexdigest()[:16]
    work = provenance("predict", {}, {"model": fingerprint(path), "photographs": names}, model=asdict(about))
    _claim(settings.out, work)
    for head, grades in about.grades.items():
        console.say(f"{head}: {_classes(grades)}.")

    fabric = make_fabric(settings.accelerator, about.precision)
    fabric.to_device(network)
    inputs = Inputs(found, about)
    size = TEST_BATCH if about.kind == "classification" else 1
    batches = [[(0, item) for item in range(at, min(at + size, len(found)))] for at in range(0, len(found), size)]
    rows: list[Row] = []
    aside: list[Row] = []
    with console.progress("predicting", len(found)) as bar:
        for batch in make_loader(inputs, batches, settings.workers, collate=list):
            good = [seen for seen in batch if seen.image is not None]
            aside += [_problem(seen) for seen in batch if seen.image is None]
            if about.kind == "classification":
                rows += _classified(fabric, network, about, good)
            else:
                rows += [_segmented(fabric, network, about, seen, found[seen.name], settings.out) for seen in good]
            bar.advance(len(batch))
    _write_table(settings.out / TABLE, rows)
    _write_table(settings.out / ASIDE, aside)
    if not rows:
        raise SwclError(f"None of the {len(found):,} photographs could be read; see {settings.out / ASIDE}.")
    left = f", {len(aside):,} set aside: see {settings.out / ASIDE}" if aside else ""
    console.say(f"{len(rows):,} of {len(found):,} photographs predicted{left}.")
    return settings.out


def _existing(settings: PredictSettings) -> Path:
    places = (settings.model, Workspace(settings.workspace).root / settings.model)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise SwclError(
            f"{settings.model}: no such file. Models are made by `swcl finetune`, as RUN/model.safetensors."
        )
    return path


def _claim(folder: Path, work: Mapping[str, Any]) -> None:
    """Raises SwclError where the folder holds anything but earlier predictions by this model of these photographs."""
    record = folder / RECORD
    if folder.exists() and not folder.is_dir():
        raise SwclError(f"{folder} is a file: --out names a folder.")
    if record.is_file():
        changed = differences(json.loads(record.read_text(encoding="utf-8")), work)
        if changed:
            raise SwclError(f"{folder} holds other predictions ({'; '.join(changed)}): name another folder with --out.")
    elif folder.is_dir() and any(folder.iterdir()):
        raise SwclError(f"{folder} is not empty: name a new folder with --out.")
    write_text(record, json.dumps(work, sort_keys=True, indent=1) + "\n")


def _classes(grades: Sequence[int]) -> str:
    """`class 0 is 0 or 1, class 1 is 2 or 3`."""
    members = {one: [str(grade) for grade, cls in enumerate(grades) if cls == one] for one in sorted(set(grades))}
    return ", ".join(f"class {one} is {' or '.join(of)}" for one, of in members.items())


def _problem(seen: Seen) -> Row:
    return {"image": seen.name, "problem": seen.problem, "detail": seen.detail}


@torch.inference_mode()
def _classified(fabric: Fabric, network: Any, about: Description, batch: Sequence[Seen]) -> Iterator[Row]:
    """The most probable class of each head, and the probability of each class."""
    if not batch:
        return
    images = torch.from_numpy(np.stack([seen.image for seen in batch if seen.image is not None]))
    with fabric.autocast():
        scores = {head: part.cpu().numpy() for head, part in network.probabilities(fabric.to_device(images)).items()}
    for number, seen in enumerate(batch):
        row: Row = {"image": seen.name, "width": seen.own[0], "height": seen.own[1]}
        for head in about.heads:
            probabilities = scores[head][number]
            row[head] = int(probabilities.argmax())
            row |= {f"{head}_{one}": f"{probability:.6f}" for one, probability in enumerate(probabilities)}
        yield row


def _segmented(fabric: Fabric, network: Any, about: Description, seen: Seen, path: Path, folder: Path) -> Row:
    """Writes a mask a structure and the overlay, at the photograph's own size."""
    assert seen.image is not None
    width, height = seen.own
    log_odds = predict_log_odds(fabric, network, seen.image, about.crop)
    masks = {head: at_size(part, (height, width)) > 0 for head, part in zip(about.heads, log_odds, strict=True)}
    row: Row = {"image": seen.name, "width": width, "height": height}
    for head, mask in masks.items():
        name = f"masks/{seen.name}{f'_{head}' if len(masks) > 1 else ''}.png"
        _save(folder / name, Image.fromarray(mask.astype(np.uint8) * np.uint8(255)), "PNG")
        row |= {f"{head}_share": f"{mask.mean():.6f}", f"{head}_mask": name}
    if about.ratio:
        row["_to_".join(about.ratio)] = f"{diameter_ratio(*(masks[head] for head in about.ratio)):.4f}"
    name = f"overlays/{seen.name}.jpg"
    drawn = overlay(read_at_own_size(path), sorted(masks.values(), key=np.count_nonzero, reverse=True))
    _save(folder / name, Image.fromarray(drawn), "JPEG", quality=OVERLAY_QUALITY)
    return {**row, "overlay": name}


def _save(path: Path, image: Image.Image, kind: str, **options: int) -> None:
    with atomic(path) as partial:
        image.save(partial, format=kind, **options)


def _write_table(path: Path, rows: Iterable[Row]) -> None:
    """A CSV; without rows no file, also not an earlier one."""
    listed = list(rows)
    path.unlink(missing_ok=True)
    if listed:
        with (
            atomic(path) as partial,
            open(partial, "w", encoding="utf-8", errors="surrogateescape", newline="") as handle,
        ):
            writer = csv.DictWriter(handle, list(listed[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(listed)
